"""What a training leaves: whole weights, or an adapter that names its base; the same files of equal runs."""

import json
from pathlib import Path
from typing import Any

from peft import PeftModel
from plumbline_contracts.weights import ADAPTER_BASE, AdapterBase
from transformers import PreTrainedTokenizerBase


def save_whole(model: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Weights, configuration and tokenizer; an adapter is merged into what it was trained over."""
    if isinstance(model, PeftModel):
        model = model.merge_and_unload()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _readable_by_others(folder)


def save_adapter(model: PeftModel, tokenizer: PreTrainedTokenizerBase, folder: Path, base: AdapterBase) -> None:
    """As peft reads it, with the reference of the base where peft would write a path of this machine."""
    model.save_pretrained(str(folder), save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty form
    file = folder / "adapter_config.json"
    name, _, revision = base.model.partition("@")
    told = json.loads(file.read_text("utf-8")) | {"base_model_name_or_path": name, "revision": revision or None}
    told["target_modules"] = sorted(told["target_modules"])  # a set, in an order of the process
    file.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n", "utf-8")
    (folder / ADAPTER_BASE).write_text(base.model_dump_json(indent=2) + "\n", "utf-8")
    tokenizer.save_pretrained(folder)
    _readable_by_others(folder)


def _readable_by_others(folder: Path) -> None:
    """safetensors writes 0600, and other services read this."""
    for file in folder.iterdir():
        file.chmod(0o644)
