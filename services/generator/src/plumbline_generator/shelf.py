"""Models in memory: counted before they are read, loaded once, the least recently used put away first."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from plumbline_contracts.generator import Model
from plumbline_kit import artifacts
from plumbline_kit.errors import ProblemError
from transformers import PreTrainedModel

from . import memory
from .folders import ModelFolder, ModelFolders, listed
from .memory import Need, mib
from .weights import LoadedModel, advice, read, unusable

if TYPE_CHECKING:
    from .batch import Batch

log = logging.getLogger(__name__)


@dataclass
class Place:
    """Of a model that is there or on its way, with what is kept for it from the moment that it is to be loaded."""

    need: Need
    state: artifacts.State
    loading: asyncio.Task[LoadedModel]
    users: int = 0

    @property
    def is_loaded(self) -> bool:
        return self.loading.done()

    @property
    def bytes(self) -> int:
        return self.need.bytes if self.is_loaded else self.need.peak


class Shelf:
    """At most `room` models in memory, and no more than `most_bytes` of them; one in use is never put away.

    Who finds no room waits until a model is no longer in use, and whoever comes later waits behind. Nobody waits for a
    model of others to be downloaded, or to be loaded if there is room for both.
    """

    def __init__(
        self,
        folders: ModelFolders,
        *,
        room: int,
        dtype: str,
        batch_of: "Callable[[PreTrainedModel], Batch | None]" = lambda _: None,
        need_of: Callable[[ModelFolder], Need] = lambda _: Need(0, 0),
        most_bytes: int | None = None,
        trusted: Sequence[str] = (),
    ) -> None:
        self._need_of, self._trusted = need_of, frozenset(trusted)
        self._folders, self._room, self._dtype, self._batch_of = folders, room, getattr(torch, dtype), batch_of
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._most_bytes = most_bytes or self._memory()[0]
        self._places: OrderedDict[ModelFolder, Place] = OrderedDict()
        self._finding = dict[str, asyncio.Task[ModelFolder]]()
        self._changed, self._lock = asyncio.Event(), asyncio.Lock()

    async def take(self, reference: str) -> LoadedModel:
        """The model, loaded if need be; else `unknown-model`, `unusable-model`, `digest-mismatch` or
        `insufficient-memory`."""
        async with self.using(reference) as loaded:
            return loaded

    @asynccontextmanager
    async def using(self, reference: str) -> AsyncIterator[LoadedModel]:
        """As `take`, and it stays in memory for so long."""
        folder = await self.find(reference)
        async with self._lock:
            place = await self._place(reference, folder)
            place.users += 1
        try:
            yield await asyncio.shield(place.loading)  # others may wait for it, too
        finally:
            place.users -= 1
            self._changed.set()

    async def find(self, reference: str) -> ModelFolder:
        """Where it lies. A download takes one thread, however many wait for it: there are few."""
        if (finding := self._finding.get(reference)) is None:
            finding = self._finding[reference] = asyncio.create_task(asyncio.to_thread(self._folders.find, reference))
            finding.add_done_callback(lambda _: self._finding.pop(reference))
        return await asyncio.shield(finding)

    async def _place(self, reference: str, folder: ModelFolder) -> Place:
        state = await asyncio.to_thread(folder.state)
        place = self._places.get(folder)
        if place is None or place.state != state:
            # A changed folder's old weights go before the new ones come.
            need = await asyncio.to_thread(self._need, reference, folder)
            await self._make_room(reference, need, folder)
            loading = asyncio.create_task(asyncio.to_thread(self._load, reference, folder))
            place = self._places[folder] = Place(need, state, loading)
            loading.add_done_callback(partial(self._ended, folder))
        self._places.move_to_end(folder)
        return place

    def _ended(self, folder: ModelFolder, loading: asyncio.Task[LoadedModel]) -> None:
        failed = loading.cancelled() or loading.exception() is not None
        if failed and (place := self._places.get(folder)) is not None and place.loading is loading:
            del self._places[folder]
        self._changed.set()

    async def _make_room(self, reference: str, need: Need, folder: ModelFolder) -> None:
        """Put models away, the least recently used first, until there is room; wait while all that stay are in use."""
        while True:
            self._changed.clear()
            while (short := self._is_short(need, folder)) and self._put_away(folder):
                pass
            if not short:
                coming = sum(place.need.peak for place in self._places.values() if not place.is_loaded)
                free = await asyncio.to_thread(self._free)
                if need.peak <= free - coming:
                    return
                if not coming and self._put_away(folder):
                    continue
                if not self._places:
                    raise _too_large(reference, need, f"{mib(free)} are free")
            await self._changed.wait()

    def _is_short(self, need: Need, folder: ModelFolder) -> bool:
        kept = sum(place.bytes for place in self._places.values())
        return folder in self._places or len(self._places) >= self._room or kept + need.peak > self._most_bytes

    def _put_away(self, folder: ModelFolder) -> bool:
        """The model of this folder if it is there, else another; False when it is in use, or all are."""
        first = [folder] if folder in self._places else list(self._places)
        for one in first:
            if self._places[one].is_loaded and not self._places[one].users:
                del self._places[one]
                return True
        return False

    def _need(self, reference: str, folder: ModelFolder) -> Need:
        """Refuse what could never fit, before any weight is read."""
        try:
            need = self._need_of(folder)
        except (ValueError, OSError) as error:
            raise unusable(reference, error) from error
        if need.peak > self._most_bytes:
            raise _too_large(reference, need, f"models may take {mib(self._most_bytes)} here (GENERATOR_MEMORY_MB)")
        return need

    def _free(self) -> int:
        memory.give_back()  # what was put away
        return self._memory()[1]

    def _memory(self) -> tuple[int, int]:
        """What models may take, and what is free now: of the GPU, else of the machine or container."""
        if self.device == "cuda":
            free, total = torch.cuda.mem_get_info()
            return int(0.9 * total), free
        return memory.budget(), memory.available()

    def available(self) -> list[Model]:
        """Every model that needs no download. A digest is told where it is known without reading all weights."""
        found = self._folders.available()
        there = {folder for folder, place in list(self._places.items()) if place.is_loaded}
        return [
            listed(name, folder, loaded=folder in there, sha256=self._folders.known_sha256(folder))
            for name, folder in found.items()
        ]

    def _load(self, reference: str, folder: ModelFolder) -> LoadedModel:
        sha256 = self._folders.sha256(folder)
        try:
            model, tokenizer, eos = read(reference, folder, self._dtype, self._trusted)
        except Exception as error:  # a folder of unknown origin can be broken in any way
            log.warning("unusable model %s", reference, exc_info=error)
            raise unusable(reference, error, advice(reference, folder, self._trusted)) from error
        model = model.to(self.device)  # type: ignore[arg-type]
        loaded = LoadedModel(
            model=model,
            tokenizer=tokenizer,
            sha256=sha256,
            eos=eos,
            most_tokens=getattr(model.config.get_text_config(), "max_position_embeddings", None),
            vocabulary=model.get_input_embeddings().weight.shape[0],
            batch=self._batch_of(model),
        )
        memory.give_back()  # what loading took beside it
        return loaded


def _too_large(reference: str, need: Need, there: str) -> ProblemError:
    detail = (
        f"{reference!r} needs {mib(need.peak)} ({need}), but {there}. Take a smaller GENERATOR_DTYPE,"
        " GENERATOR_KV_CACHE_MB or model, or more memory."
    )
    return ProblemError(503, "insufficient-memory", detail, retry_after=30)
