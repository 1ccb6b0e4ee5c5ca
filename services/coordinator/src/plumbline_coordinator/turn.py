"""A turn of a stage at one service: everything that it still lacks there, several batches at once, for a while."""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from plumbline_contracts.coordinator import PhaseName
from plumbline_kit.logs import request_id

from . import waiting
from .attempt import Attempt, Batch
from .reuse import Keys, Reuse
from .rows import Chunk, Outcome
from .run import Run
from .stages.stage import Ask, Loaded, Stage
from .waiting import Tell

log = logging.getLogger(__name__)
# After this the queue gives the service to whoever has waited longest; another experiment waits so long at most.
TURN_S = 300.0
_ITEMS, _CHUNKS = 512, 512  # of a page: read at once, so that memory does not grow with the experiment


@dataclass(frozen=True)
class Page:
    """Some chunks of one unit, and what is needed for those of their items that have no result yet."""

    unit: str
    chunks: list[Chunk]
    loaded: Loaded


class Turn:
    """Results are the only record of how far it is: killed at any point, the next one does what has no result."""

    def __init__(self, run: Run, stage: Stage, service: str, tell: Tell) -> None:
        self.run, self.stage, self.service, self.tell = run, stage, service, tell
        self.keeper, self.reuse = Keeper(run.attempt, stage.name, tell), Reuse(run, stage, tell)
        at_once = run.settings.concurrency
        self.asked = asyncio.Semaphore(at_once)
        # A few more wait to be stored while the next are asked; of a small number none, so that a kill costs no more.
        self.under_way = asyncio.Semaphore(at_once + at_once // 8)

    async def work(self) -> bool:
        """True when nothing is left, or when it is not wanted any more."""
        until = time.monotonic() + TURN_S
        async with self.run.client(self.service) as client, asyncio.TaskGroup() as tasks:
            ask = await asyncio.to_thread(self.stage.asking, self.run, client)
            async for page in self._pages():
                keys = await self.reuse.look_up(page.unit, page.loaded)
                await self.keeper.keep(page.unit, page.loaded.outcomes)
                for chunk in page.chunks:
                    if page.loaded.inputs.keys().isdisjoint(chunk.items):
                        continue
                    await self.under_way.acquire()
                    if self.keeper.over:
                        return True
                    if time.monotonic() > until:
                        return False
                    tasks.create_task(self._process(ask, page, keys, chunk))
        return True

    async def _process(self, ask: Ask, page: Page, keys: Keys, chunk: Chunk) -> None:
        inputs = page.loaded.inputs
        items = [item for item in chunk.items if item in inputs]
        # Found in the logs of the service that is called.
        request_id.set(f"{self.stage.name}-{chunk.number}-{uuid.uuid4().hex[:12]}")
        log.info("%s %s %s: %s items", self.run.id, self.stage.name, page.unit, len(items))

        async def call(items: Sequence[str]) -> list[Outcome]:
            async with self.asked:
                return await ask(page.unit, [inputs[item] for item in items])

        try:
            outcomes = await waiting.process(call, items, self.tell)
            await self.keeper.keep(page.unit, await self.reuse.marked(page.unit, keys, outcomes))
        finally:
            self.under_way.release()

    async def _pages(self) -> AsyncIterator[Page]:
        """The next page is read while the batches of the one before are under way."""
        pages = _pages(self.run, self.stage, self.service)
        read = partial(asyncio.to_thread, next, pages, None)
        reading = asyncio.create_task(waiting.patiently(read, self.tell))
        while (page := await reading) is not None:
            reading = asyncio.create_task(waiting.patiently(read, self.tell))
            yield page


class Keeper:
    """Stores outcomes as they come: while one transaction is under way, what comes meanwhile waits for the next."""

    def __init__(self, attempt: Attempt, stage: PhaseName, tell: Tell) -> None:
        self.attempt, self.stage, self.tell = attempt, stage, tell
        self.over = False  # nothing is stored any more: the experiment has ended, or another attempt has begun
        self._queued, self._storing = list[Batch](), asyncio.Lock()

    async def keep(self, unit: str, outcomes: list[Outcome]) -> None:
        """Return when they are stored, or are not wanted."""
        if not outcomes:
            return
        self._queued.append((unit, outcomes))
        async with self._storing:
            if taken := self._queued:
                self._queued = []
                # Answers were paid for; they are not thrown away because the database is away just now.
                save = partial(asyncio.to_thread, self.attempt.save, self.stage, taken)
                self.over = not await waiting.patiently(save, self.tell)


def _pages(run: Run, stage: Stage, service: str) -> Iterator[Page]:
    for unit, chunks in _grouped(run, stage, service):
        items = [item for chunk in chunks for item in chunk.items]
        done = run.store.done(run.id, stage.name, unit, items)
        lacking = [item for item in items if item not in done]
        if not lacking:
            continue
        loaded = stage.load(run, unit, lacking)
        yield Page(unit, chunks, loaded)


def _grouped(run: Run, stage: Stage, service: str) -> Iterator[tuple[str, list[Chunk]]]:
    """The chunks for one service, of one unit and so many as make a page."""
    last = -1
    while some := run.store.chunks(run.id, stage.name, last, _CHUNKS):
        last = some[-1].number
        mine = (chunk for chunk in some if stage.service(chunk.unit) == service)
        for unit, of_unit in groupby(mine, key=lambda chunk: chunk.unit):
            page, size = list[Chunk](), 0
            for chunk in of_unit:
                page.append(chunk)
                size += len(chunk.items)
                if size >= _ITEMS:
                    yield unit, page
                    page, size = [], 0
            if page:
                yield unit, page
