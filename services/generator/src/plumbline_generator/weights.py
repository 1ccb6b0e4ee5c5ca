"""Models in memory: found by reference, loaded from safetensors only, the least recently used put away first."""

import asyncio
import gc
import logging
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
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

from . import memory
from .folders import ModelFolders, listed
from .memory import Need, mib

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
    bytes: int
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)


class Shelf:
    """At most `room` models in memory, and no more than `most_bytes` of them; one in use is never put away.

    Who finds no room waits until a model is no longer in use, and whoever comes later waits behind.
    """

    def __init__(
        self,
        folders: ModelFolders,
        *,
        room: int,
        dtype: str,
        batch_of: "Callable[[PreTrainedModel], Batch | None]" = lambda _: None,
        need_of: Callable[[Path], Need] = lambda _: Need(0, 0),
        most_bytes: int | None = None,
        trusted: Sequence[str] = (),
    ) -> None:
        self._need_of, self._trusted = need_of, frozenset(trusted)
        self._users, self._released = Counter[Path](), asyncio.Event()
        self._folders, self._room, self._dtype, self._batch_of = folders, room, getattr(torch, dtype), batch_of
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._most_bytes = most_bytes or self._memory()[0]
        self._loaded: OrderedDict[Path, LoadedModel] = OrderedDict()
        self._lock = asyncio.Lock()

    async def take(self, reference: str) -> LoadedModel:
        """The model, loaded if need be; else `unknown-model`, `unusable-model` or `insufficient-memory`."""
        async with self.using(reference) as loaded:
            return loaded

    @asynccontextmanager
    async def using(self, reference: str) -> AsyncIterator[LoadedModel]:
        """As `take`, and it stays in memory for so long."""
        async with self._lock:
            folder = await asyncio.to_thread(self._folders.find, reference)
            loaded = await self._fetch(reference, folder)
            self._users[folder] += 1
        try:
            yield loaded
        finally:
            self._users[folder] -= 1
            self._released.set()

    async def _fetch(self, reference: str, folder: Path) -> LoadedModel:
        state = await asyncio.to_thread(artifacts.state, folder)
        found = self._loaded.get(folder)
        if found is None or found.state != state:
            found = None  # a changed folder's old weights go before the new ones come
            need = await asyncio.to_thread(self._need, reference, folder)
            while not self._make_room(need, folder):
                self._released.clear()
                await self._released.wait()
            await asyncio.to_thread(self._require_free, reference, need)
            found = await asyncio.to_thread(self._load, reference, folder, state, need.bytes)
            self._loaded[folder] = found
        self._loaded.move_to_end(folder)
        return found

    def _make_room(self, need: Need, folder: Path) -> bool:
        """Put models away, the least recently used first, until there is room. False when all that stay are in use."""
        while folder in self._loaded or len(self._loaded) >= self._room or self._over(need):
            first = [folder] if folder in self._loaded else list(self._loaded)
            idle = [one for one in first if not self._users[one]]
            if not idle:
                return False
            del self._loaded[idle[0]]
        return True

    def _over(self, need: Need) -> bool:
        return sum(model.bytes for model in self._loaded.values()) + need.bytes > self._most_bytes

    def _need(self, reference: str, folder: Path) -> Need:
        """Refuse what could never fit, before any weight is read."""
        try:
            need = self._need_of(folder)
        except (ValueError, OSError) as error:
            raise _unusable(reference, error) from error
        if need.bytes > self._most_bytes:
            raise _too_large(reference, need, f"models may take {mib(self._most_bytes)} here (GENERATOR_MEMORY_MB)")
        return need

    def _require_free(self, reference: str, need: Need) -> None:
        gc.collect()  # of what was put away
        if need.bytes > (free := self._memory()[1]):
            raise _too_large(reference, need, f"{mib(free)} are free")

    def _memory(self) -> tuple[int, int]:
        """What models may take, and what is free now: of the GPU, else of the machine or container."""
        if self.device == "cuda":
            free, total = torch.cuda.mem_get_info()
            return int(0.9 * total), free
        return memory.budget(), memory.available()

    def available(self) -> list[Model]:
        """Every model that needs no download. A digest is told where it is known without reading all weights."""
        found = self._folders.available()
        return [
            listed(name, folder, loaded=folder in self._loaded, sha256=self._folders.digests.known(folder))
            for name, folder in found.items()
        ]

    def _load(self, reference: str, folder: Path, state: artifacts.State, size: int) -> LoadedModel:
        try:
            model, tokenizer = _read(folder, self._dtype, trusted=reference in self._trusted)
        except Exception as error:  # a folder of unknown origin can be broken in any way
            log.warning("unusable model %s", reference, exc_info=error)
            raise _unusable(reference, error, _advice(reference, folder, self._trusted)) from error
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
            bytes=size,
        )


def _unusable(reference: str, error: Exception, advice: str = "") -> ProblemError:
    detail = f"{reference!r} cannot be loaded: {type(error).__name__}: {error}{advice}"
    return ProblemError(422, "unusable-model", detail)


def _advice(reference: str, folder: Path, trusted: Collection[str]) -> str:
    config = folder / "config.json"
    if reference in trusted or not config.is_file() or '"auto_map"' not in config.read_text("utf-8", "replace"):
        return ""
    return f" Its folder has code of its own, which is run only if GENERATOR_TRUSTED_CODE names {reference}."


def _too_large(reference: str, need: Need, there: str) -> ProblemError:
    detail = (
        f"{reference!r} needs {mib(need.bytes)} ({need}), but {there}. Take a smaller GENERATOR_DTYPE,"
        " GENERATOR_KV_CACHE_MB or model, or more memory."
    )
    return ProblemError(503, "insufficient-memory", detail, retry_after=30)


def _read(folder: Path, dtype: torch.dtype, *, trusted: bool) -> tuple[Any, PreTrainedTokenizerBase]:
    if (folder / "adapter_config.json").exists():
        raise ValueError("it is an adapter; merge it into its base model first")
    options: dict[str, Any] = {"trust_remote_code": trusted, "local_files_only": True}
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
