"""What asks a judge model: one reply to some messages, or the cause why there is none."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from plumbline_contracts.judge import Unscored, UnscoredCause
from plumbline_kit.errors import ProblemError

from .prompts import Messages


@dataclass(frozen=True)
class Token:
    """A token of a reply, and the most likely tokens at its place with their natural log probabilities."""

    text: bytes
    likely: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Reply:
    """What the judge model wrote, and why it cannot be used, if so. `outage`: the server serves nobody."""

    text: str | None
    fault: Unscored | None = None
    tokens: Sequence[Token] = ()
    outage: ProblemError | None = None


class Batch:
    """What the items of one request share: an outage that one of them met spares the others the wait."""

    outage: Reply | None = None

    def raise_outage(self) -> None:
        """Its problem: the whole request is worth repeating, not so for one bad reply."""
        if self.outage is not None and self.outage.outage is not None:
            raise self.outage.outage


class Backend(Protocol):
    """A server that runs a judge model."""

    async def complete(self, messages: Messages, schema: dict[str, Any]) -> Reply:
        """The reply, or the cause why there is none; never raises for what the server did."""

    async def check(self) -> None:
        """Return when the server serves us; otherwise the problem `backend-unavailable` or `backend-refused`."""

    async def close(self) -> None: ...


async def outage(backend: Backend) -> ProblemError | None:
    """The problem of everybody, where a call that failed is not the only one that does."""
    try:
        await backend.check()
    except ProblemError as error:
        return error
    return None


class Asker:
    """Asks a backend: so many calls at a time, and once for what several ask at the same time."""

    def __init__(self, backend: Backend, concurrency: int, share: bool) -> None:
        """`share`: the same messages get the same reply while they are being asked; not so where replies are drawn."""
        self.backend, self._share = backend, share
        self._slots = asyncio.Semaphore(concurrency)
        self._under_way: dict[Hashable, asyncio.Task[Reply]] = {}

    async def ask(self, messages: Messages, schema: dict[str, Any], batch: Batch) -> Reply:
        if self._share:
            asked = tuple((one["role"], one["content"]) for one in messages)
            reply = await self._shared(asked, lambda: self._ask(messages, schema, batch))
        else:
            reply = await self._ask(messages, schema, batch)
        if reply.outage:
            batch.outage = reply  # it may have been another request's call
        return reply

    async def _shared(self, key: Hashable, ask: Callable[[], Awaitable[Reply]]) -> Reply:
        if (task := self._under_way.get(key)) is None:
            task = self._under_way[key] = asyncio.ensure_future(ask())
            task.add_done_callback(lambda _: self._under_way.pop(key))
        return await asyncio.shield(task)  # a request that is given up takes no reply from the others

    async def _ask(self, messages: Messages, schema: dict[str, Any], batch: Batch) -> Reply:
        async with self._slots:
            reply = batch.outage or await self.backend.complete(messages, schema)
            if reply.outage:
                batch.outage = reply  # before the slot is free for the next
            return reply


def without(cause: UnscoredCause, detail: str, text: str | None = None) -> Reply:
    return Reply(text, Unscored(cause=cause, detail=detail[:500]))
