"""A turn of a stage at one service: everything that it still lacks there, several batches at once, for a while."""

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from plumbline_contracts.coordinator import PhaseName
from plumbline_kit.client import key_scope
from plumbline_kit.errors import ProblemError
from plumbline_kit.logs import request_id

from . import waiting
from .attempt import Batch
from .budget import COUNTED, exceeded
from .flow import Flow
from .pausing import pause, pause_if_needed
from .reuse import Keys, Reuse
from .rows import Chunk, Outcome
from .run import Run
from .stages.stage import Ask, Loaded, Stage
from .transactions import GOING_ON
from .waiting import Stuck, Tell

log = logging.getLogger(__name__)
_WATCH_S = 1.0
# After this the queue gives the service to whoever has waited longest; another experiment waits so long at most.
TURN_S = 300.0
# These services finish what they were asked even when the caller has gone; who asks again gets that. Others stop.
_KEYED = (PhaseName.TRANSLATE, PhaseName.JUDGE)
_FEW = 4
_ITEMS, _CHUNKS = 512, 512  # of a page: read at once, so that memory does not grow with the experiment


@dataclass(frozen=True)
class Page:
    """Some chunks of one unit, and what is needed for those of their items that have no result yet."""

    unit: str
    chunks: list[Chunk]
    loaded: Loaded


class Turn:
    """Results are the only record of how far it is: killed at any point, the next one does what has no result."""

    def __init__(self, run: Run, stage: Stage, service: str, tell: Tell, flow: Flow) -> None:
        self.run, self.stage, self.service, self.tell, self.flow = run, stage, service, tell, flow
        self.keeper, self.reuse = Keeper(run, stage.name, tell), Reuse(run, stage, tell)
        # As many more wait for a place, or to be stored; of a small number none, so that a kill costs no more.
        self.places = asyncio.Semaphore(flow.most * (1 if flow.most < _FEW else 2))
        self.under_way = set[asyncio.Task[None]]()
        self.unanswered = set[asyncio.Task[None]]()  # of those: they can be given up without losing anything

    async def work(self) -> bool:
        """True when nothing is left, or when it is not wanted any more."""
        watching = asyncio.create_task(self._watch())
        try:
            async with self.run.client(self.service, self._post) as client, asyncio.TaskGroup() as tasks:
                ask = await asyncio.to_thread(self.stage.asking, self.run, client)
                ended = await self._feed(ask, tasks)
        finally:
            watching.cancel()
        if not ended and self.keeper.used_up(0):
            await asyncio.to_thread(pause_if_needed, self.run)
        return ended or not await asyncio.to_thread(self.run.attempt.goes_on)

    async def _feed(self, ask: Ask, tasks: asyncio.TaskGroup) -> bool:
        """Begin batch after batch; True when there are no more."""
        until = time.monotonic() + TURN_S
        async for page in self._pages():
            try:
                keys = await self.reuse.look_up(page.unit, page.loaded)
            except Stuck as stuck:
                await self._give_up(stuck)
                return False
            await self.keeper.keep(page.unit, page.loaded.outcomes)
            for chunk in page.chunks:
                if page.loaded.inputs.keys().isdisjoint(chunk.items):
                    continue
                await self.places.acquire()
                if self.keeper.over or self.keeper.used_up(len(self.under_way)) or time.monotonic() > until:
                    return False
                task = tasks.create_task(self._process(ask, page, keys, chunk))
                self.under_way.add(task)
                task.add_done_callback(self._ended)
        return True

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.under_way.discard(task)
        self.unanswered.discard(task)
        self.places.release()

    async def _process(self, ask: Ask, page: Page, keys: Keys, chunk: Chunk) -> None:
        inputs = page.loaded.inputs
        items = [item for item in chunk.items if item in inputs]
        # Found in the logs of the service that is called.
        request_id.set(f"{self.stage.name}-{chunk.number}-{uuid.uuid4().hex[:12]}")
        if self.stage.name in _KEYED:  # another attempt, such as a retry, asks anew
            key_scope.set(f"{self.run.id} {self.run.attempt.number} {self.stage.name} {chunk.number}")
        log.debug("%s %s %s: %s items", self.run.id, self.stage.name, page.unit, len(items))

        async def call(items: Sequence[str]) -> list[Outcome]:
            return await ask(page.unit, [inputs[item] for item in items])

        try:
            outcomes = await waiting.process(call, items, self.tell)
            await self.keeper.keep(page.unit, await self.reuse.marked(page.unit, keys, outcomes))
        except Stuck as stuck:
            await self._give_up(stuck)

    @asynccontextmanager
    async def _post(self) -> AsyncIterator[None]:
        """Around a request that costs: when a place for it is free, until it is answered."""
        task = asyncio.current_task()
        assert task is not None
        self.unanswered.add(task)
        async with self.flow.request():
            self.unanswered.discard(task)
            try:
                yield
            except ProblemError as error:
                self.unanswered.add(task)
                self.keeper.calls += waiting.was_taken(error)
                raise
        self.keeper.calls += 1

    async def _watch(self) -> None:
        """Once a second: is it still wanted, is there room, is there time; and tell how fast the service is asked."""
        told = None
        while True:
            try:
                if not await asyncio.to_thread(pause_if_needed, self.run, ("hours",)):
                    self._halt()
                if (now := self.flow.state()) != told:
                    tell = partial(self.run.attempt.tell_flow, self.stage.name, self.service, **now)
                    await asyncio.to_thread(tell)
                    told = now
            except ProblemError as error:
                log.warning("%s: %s", self.run.id, error)
            await asyncio.sleep(_WATCH_S)

    async def _give_up(self, stuck: Stuck) -> None:
        await asyncio.to_thread(pause, self.run, stuck, self.service)
        self._halt()

    def _halt(self) -> None:
        """Begin nothing more; what is being answered is still stored."""
        self.keeper.over = True
        for task in self.unanswered - {asyncio.current_task()}:
            task.cancel()

    async def _pages(self) -> AsyncIterator[Page]:
        """The next page is read while the batches of the one before are under way."""
        pages = Pages(self.run, self.stage, self.service)
        reading = asyncio.create_task(self._read(pages))
        while (page := await reading) is not None:
            reading = asyncio.create_task(self._read(pages))
            yield page

    async def _read(self, pages: "Pages") -> Page | None:
        try:
            return await waiting.patiently(partial(asyncio.to_thread, pages.next), self.tell)
        except Stuck as stuck:
            await self._give_up(stuck)
            return None


class Keeper:
    """Stores outcomes as they come: while one transaction is under way, what comes meanwhile waits for the next."""

    def __init__(self, run: Run, stage: PhaseName, tell: Tell) -> None:
        self.attempt, self.stage, self.tell = run.attempt, stage, tell
        self.over = False  # nothing more is wanted: the experiment has ended, is paused, or is another attempt
        self.calls = 0  # whose cost is not stored yet
        self._row = run.store.get(run.id)  # of the experiment, for what it has spent and may spend
        self._queued, self._storing = list[Batch](), asyncio.Lock()
        self._next: asyncio.Task[None] | None = None  # will store what is queued

    async def keep(self, unit: str, outcomes: list[Outcome]) -> None:
        """Return when they are stored, or are not wanted."""
        if not outcomes:
            return
        self._queued.append((unit, outcomes))
        if self._next is None:
            self._next = asyncio.create_task(self._store())
        await asyncio.shield(self._next)  # others' outcomes are in it

    async def _store(self) -> None:
        async with self._storing:
            taken, self._queued, self._next = self._queued, [], None
            calls, self.calls = self.calls if self.stage in COUNTED else 0, 0
            # Answers were paid for; they are not thrown away because the database is away just now.
            save = partial(asyncio.to_thread, self.attempt.save, self.stage, taken, calls)
            self._row = await waiting.patiently(save, self.tell)
            self.over = self.over or not self.attempt.is_in(self._row, *GOING_ON)

    def used_up(self, under_way: int) -> bool:
        """Whether one call more would be too many."""
        return self.stage in COUNTED and exceeded(self._row, ("calls", "tokens"), under_way) is not None


class Pages:
    """Page after page of what is lacking. One that could not be read is read again: a generator that has raised
    would be at its end, and what is left would be taken for nothing."""

    def __init__(self, run: Run, stage: Stage, service: str) -> None:
        self.run, self.stage, self.service = run, stage, service
        self._last, self._rest = -1, deque[tuple[str, list[Chunk]]]()

    def next(self) -> Page | None:
        """Null after the last one. Synchronous."""
        while self._rest or self._more():
            page = self._page(*self._rest[0])
            self._rest.popleft()
            if page is not None:
                return page
        return None

    def _more(self) -> bool:
        while some := self.run.store.chunks(self.run.id, self.stage.name, self._last, _CHUNKS, lacking=True):
            self._rest.extend(_grouped(chunk for chunk in some if self.stage.service(chunk.unit) == self.service))
            self._last = some[-1].number
            if self._rest:
                return True
        return False

    def _page(self, unit: str, chunks: list[Chunk]) -> Page | None:
        items = [item for chunk in chunks for item in chunk.items]
        done = self.run.store.done(self.run.id, self.stage.name, unit, items)
        lacking = [item for item in items if item not in done]
        return Page(unit, chunks, self.stage.load(self.run, unit, lacking)) if lacking else None


def _grouped(chunks: Iterable[Chunk]) -> Iterator[tuple[str, list[Chunk]]]:
    """Chunks of one unit, and so many as make a page."""
    for unit, of_unit in groupby(chunks, key=lambda chunk: chunk.unit):
        page, size = list[Chunk](), 0
        for chunk in of_unit:
            page.append(chunk)
            size += len(chunk.items)
            if size >= _ITEMS:
                yield unit, page
                page, size = [], 0
        if page:
            yield unit, page
