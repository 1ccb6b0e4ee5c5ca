"""An adapter merged into the model that it goes over."""

from pathlib import Path
from typing import Any

from peft import PeftConfig, PeftModel

from .adapters import WEIGHTS


def merged(model: Any, folder: Path) -> Any:
    """The model with LoRA's weights added to its own; ValueError where they are not all there, or not all its own."""
    if not (folder / WEIGHTS).is_file():
        raise ValueError(f"the adapter has no {WEIGHTS}, and pickles are not read")
    config: Any = PeftConfig.from_pretrained(str(folder))
    if config.peft_type != "LORA":
        raise ValueError(f"it is a {config.peft_type} adapter; only LORA is merged here")
    config.megatron_config = None  # peft would import a module that the folder names
    adapted: Any = PeftModel(model, config)
    try:
        report = adapted.load_adapter(str(folder), "default", torch_device="cpu")
    except RuntimeError as error:  # of torch, with a line for every tensor
        mismatch = " ".join(str(error).splitlines()[:2])
        raise ValueError(f"the adapter does not fit its base {_named(model)}: {mismatch}") from error
    for lacking, keys in (("lacks", report.missing_keys), ("has beside what it can take", report.unexpected_keys)):
        if keys:
            found = ", ".join(sorted(keys)[:3])
            raise ValueError(f"the adapter does not fit its base {_named(model)}: it {lacking} {found}")
    # Into new memory: weights are mapped from their file, and a page that is written would stay as long as any other.
    return adapted.merge_and_unload(safe_merge=True)


def _named(model: Any) -> str:
    return f"({type(model).__name__}, {model.config.num_hidden_layers} layers of width {model.config.hidden_size})"
