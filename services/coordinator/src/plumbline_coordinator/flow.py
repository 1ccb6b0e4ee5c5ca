"""How fast a service is asked: so many requests at once, so many a second, and fewer while it says that it is busy."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiolimiter import AsyncLimiter
from plumbline_kit.client import Unreachable
from plumbline_kit.errors import ProblemError

from .settings import ServiceLimits

BUSY = frozenset({429, 503})
_LONGEST_S, _SHORTEST_S = 60.0, 0.5


class Flow:
    """Additive increase, multiplicative decrease, as in TCP: half as many at once when a service is busy, one more
    after as many answers as there are at once. `Retry-After` holds all requests to it back, not only the refused one.
    """

    def __init__(self, limits: ServiceLimits) -> None:
        self.most, self.per_second = limits.concurrency, limits.rate
        self.now = float(self.most)  # so many at once
        self.held_until = 0.0  # in monotonic time
        self._rate = None if limits.rate is None else AsyncLimiter(1, 1 / limits.rate)
        self._under_way, self._decreased = 0, 0.0
        self._changed = asyncio.Condition()

    @property
    def at_once(self) -> int:
        return int(self.now)

    def state(self) -> dict[str, Any]:
        """Columns of the table `flow`."""
        return {"at_once": self.at_once, "most": self.most, "per_second": self.per_second}

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Wait for a place; what the service says inside decides how many there are from now on."""
        await self._enter()
        try:
            if (wait := self.held_until - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            if self._rate is not None:
                await self._rate.acquire()
            begun = time.monotonic()
            try:
                yield
            except ProblemError as error:
                if error.status in BUSY:
                    self._refused(error, begun)
                raise
            self.now = min(float(self.most), self.now + 1 / self.now)
        finally:
            await self._leave()

    async def _enter(self) -> None:
        async with self._changed:
            while self._under_way >= self.at_once:
                await self._changed.wait()
            self._under_way += 1

    async def _leave(self) -> None:
        async with self._changed:
            self._under_way -= 1
            self._changed.notify(max(0, self.at_once - self._under_way))
        await asyncio.sleep(0)  # whoever was told asks now, and this answer is dealt with while that is under way

    def _refused(self, error: ProblemError, begun: float) -> None:
        now = time.monotonic()
        wait = min(error.retry_after or _SHORTEST_S, _LONGEST_S)
        self.held_until = max(self.held_until, now + wait)
        # One that does not answer is not busy, and of many refused at once only the first says something new.
        if not isinstance(error, Unreachable) and begun >= self._decreased:
            self.now, self._decreased = max(1.0, self.now / 2), now
