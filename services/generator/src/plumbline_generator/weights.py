"""Models in memory: found by reference, loaded from safetensors only, the least recently used put away first."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from plumbline_contracts.generator import Model
from plumbline_kit import artifacts
from plumbline_kit.errors import ProblemError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from .folders import ModelFolders, listed

if TYPE_CHECKING:
    from .batch import Batch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to generate. `most_tokens` is null where the model tells no longest text, `batch` where its rows
    cannot share a prefix."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    sha256: str
    state: artifacts.State
    eos: frozenset[int]
    most_tokens: int | None
    vocabulary: int
    batch: "Batch | None"
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)


class Shelf:
    """At most `room` models in memory."""

    def __init__(
        self,
        folders: ModelFolders,
        *,
        room: int,
        dtype: str,
        batch_of: "Callable[[PreTrainedModel], Batch | None]" = lambda _: None,
    ) -> None:
        self._folders, self._room, self._dtype, self._batch_of = folders, room, getattr(torch, dtype), batch_of
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._loaded: OrderedDict[Path, LoadedModel] = OrderedDict()
        self._lock = asyncio.Lock()

    async def take(self, reference: str) -> LoadedModel:
        """The model, loaded if need be; else the problem `unknown-model` or `unusable-model`."""
        async with self._lock:
            return await asyncio.to_thread(self._take, reference)

    def available(self) -> list[Model]:
        """Every model that needs no download."""
        return [listed(name, loaded=folder in self._loaded) for name, folder in self._folders.available().items()]

    def _take(self, reference: str) -> LoadedModel:
        folder = self._folders.find(reference)
        state = artifacts.state(folder)
        found = self._loaded.pop(folder, None)
        if found is None or found.state != state:
            found = None  # a changed folder's old weights go before the new ones come
            while len(self._loaded) >= self._room:
                self._loaded.popitem(last=False)
            found = self._load(reference, folder, state)
        self._loaded[folder] = found
        return found

    def _load(self, reference: str, folder: Path, state: artifacts.State) -> LoadedModel:
        try:
            model, tokenizer = _read(folder, self._dtype)
        except Exception as error:  # a folder of unknown origin can be broken in any way
            log.warning("unusable model %s", reference, exc_info=error)
            detail = f"{reference!r} cannot be loaded: {type(error).__name__}: {error}"
            raise ProblemError(422, "unusable-model", detail) from error
        eos = _eos(model, tokenizer)
        # Decoding comes from the request alone, never from what a model's folder proposes.
        model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
        model = model.to(self.device).eval()
        return LoadedModel(
            model=model,
            tokenizer=tokenizer,
            sha256=self._folders.digests.of(folder),
            state=state,
            eos=eos,
            most_tokens=getattr(model.config.get_text_config(), "max_position_embeddings", None),
            vocabulary=model.get_input_embeddings().weight.shape[0],
            batch=self._batch_of(model),
        )


def _read(folder: Path, dtype: torch.dtype) -> tuple[Any, PreTrainedTokenizerBase]:
    if (folder / "adapter_config.json").exists():
        raise ValueError("it is an adapter; merge it into its base model first")
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    options |= {"dtype": dtype, "use_safetensors": True, "output_loading_info": True}
    loaded: Any = AutoModelForCausalLM.from_pretrained(folder, **options)
    model, report = loaded
    if report["missing_keys"]:
        # transformers would fill them with random numbers.
        raise ValueError(f"its weights lack {', '.join(sorted(report['missing_keys'])[:3])}")
    return model, tokenizer


def _eos(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Every token that ends a text: a chat model may name one in its tokenizer and another in its settings."""
    given = model.generation_config.eos_token_id if model.generation_config else None
    ids = given if isinstance(given, list) else [given]
    return frozenset(id for id in [*ids, tokenizer.eos_token_id] if id is not None)
