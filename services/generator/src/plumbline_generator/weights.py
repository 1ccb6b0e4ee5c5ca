"""Reading a model: safetensors only, nothing missing, an adapter merged into its base."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import torch
from plumbline_kit.errors import ProblemError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from .folders import ModelFolder
from .logprobs import Pieces

if TYPE_CHECKING:
    from .batch import Batch

# transformers sets the default type of tensors, and switches initialisation off, for the whole process while it reads.
_READING = Lock()
_TOKENIZER = ("tokenizer_config.json", "tokenizer.json")


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to generate. `most_tokens` is null where the model tells no longest text, `batch` where its rows
    cannot share a prefix."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    sha256: str
    eos: frozenset[int]
    most_tokens: int | None
    vocabulary: int
    batch: "Batch | None"
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    @cached_property
    def pieces(self) -> Pieces:
        return Pieces(self.tokenizer)


def read(
    reference: str, folder: ModelFolder, dtype: torch.dtype, trusted: Collection[str]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, frozenset[int]]:
    """The model, its tokenizer, and the tokens that end a text. Code in a folder is run if its reference is trusted."""
    tokenizer = _tokenizer(reference, folder, trusted)
    with _READING:
        if folder.base is None:
            model = _model(folder.main, dtype, trusted=reference in trusted)
        else:
            model = _merged(folder, dtype, trusted=folder.base.reference in trusted)
    eos = _eos(model, tokenizer)
    # Decoding comes from the request alone, never from what a model's folder proposes.
    model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
    return model.eval(), tokenizer, eos


def _merged(folder: ModelFolder, dtype: torch.dtype, *, trusted: bool) -> Any:
    """In float32 as the trainer merges, so that the weights are those which it would have saved."""
    from .merging import merged  # peft, which takes seconds to import

    model = merged(_model(folder.main, torch.float32, trusted=trusted), folder.path)
    for weight in model.parameters():  # not the tables of positions, which transformers keeps in float32, too
        weight.data = weight.data.to(dtype)
    return model


def _model(folder: Path, dtype: torch.dtype, *, trusted: bool) -> Any:
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        use_safetensors=True,
        output_loading_info=True,
        trust_remote_code=trusted,
        local_files_only=True,
    )
    model, report = loaded
    if report["missing_keys"]:
        # transformers would fill them with random numbers.
        raise ValueError(f"its weights lack {', '.join(sorted(report['missing_keys'])[:3])}")
    return model


def _tokenizer(reference: str, folder: ModelFolder, trusted: Collection[str]) -> PreTrainedTokenizerBase:
    """An adapter's own, where it was saved with one."""
    if folder.base is None or any((folder.path / name).is_file() for name in _TOKENIZER):
        place, named = folder.path, reference
    else:
        place, named = folder.main, folder.base.reference
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
        place, trust_remote_code=named in trusted, local_files_only=True
    )
    return tokenizer


def _eos(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Every token that ends a text: a chat model may name one in its tokenizer and another in its settings."""
    given = model.generation_config.eos_token_id if model.generation_config else None
    ids = given if isinstance(given, list) else [given]
    return frozenset(id for id in [*ids, tokenizer.eos_token_id] if id is not None)


def unusable(reference: str, error: Exception, advice: str = "") -> ProblemError:
    detail = f"{reference!r} cannot be loaded: {type(error).__name__}: {error}{advice}"
    return ProblemError(422, "unusable-model", detail)


def advice(reference: str, folder: ModelFolder, trusted: Collection[str]) -> str:
    """What to do where the folder has code that was not run."""
    config, named = folder.main / "config.json", reference if folder.base is None else folder.base.reference
    if named in trusted or not config.is_file() or '"auto_map"' not in config.read_text("utf-8", "replace"):
        return ""
    return f" Its folder has code of its own, which is run only if GENERATOR_TRUSTED_CODE names {named}."
