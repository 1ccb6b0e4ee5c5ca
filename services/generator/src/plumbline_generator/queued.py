"""How many prompts may be unfinished at a time: more are refused, with the time after which there will be room."""

import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

from plumbline_contracts.generator import Generation, GenerationRequest, Origin
from plumbline_kit.errors import ProblemError
from prometheus_client import Counter, Gauge

from .around import Around, Engine
from .telling import Tell

_UNFINISHED = Gauge("plumbline_generator_unfinished_prompts", "Accepted: waiting or being completed.")
_REFUSED = Counter(
    "plumbline_generator_refused_prompts", "Of requests that were refused since too much was unfinished."
)
_RECENT = 128  # finished prompts that the rate is measured by
_UNKNOWN_S, _LONGEST_S = 5.0, 60.0


class Queued(Around):
    """A request is taken whole, or refused whole before anything of it is begun. Which of the prompts that were taken
    are being completed is the engine's own business; a deadline counts from when a request was taken."""

    def __init__(self, engine: Engine, most: int) -> None:
        super().__init__(engine)
        self._most, self._unfinished = most, 0
        self._finished = deque[float](maxlen=_RECENT)

    async def stream(self, request: GenerationRequest, tell: Tell | None = None) -> AsyncGenerator[Generation | Origin]:
        remaining = len(request.prompts)
        if (over := self._unfinished + remaining - self._most) > 0:
            _REFUSED.inc(remaining)
            raise self._full(over)
        self._change(remaining)
        try:
            async with aclosing(self._engine.stream(request, tell)) as results:
                async for result in results:
                    if isinstance(result, Generation):
                        remaining -= 1
                        self._change(-1)
                        self._finished.append(time.monotonic())
                    yield result
        finally:
            self._change(-remaining)

    def _change(self, by: int) -> None:
        self._unfinished += by
        _UNFINISHED.inc(by)

    def _full(self, over: int) -> ProblemError:
        detail = (
            f"{self._unfinished} prompts are unfinished, and no more than {self._most} may be (GENERATOR_QUEUE);"
            f" there is room for this request when {over} of them are done."
        )
        return ProblemError(429, "queue-full", detail, retry_after=self._seconds_until(over))

    def _seconds_until(self, prompts: int) -> float:
        """At the rate of the last prompts, counted up to now, so that it falls while nothing is finished."""
        if len(self._finished) < 2:
            return _UNKNOWN_S
        rate = (len(self._finished) - 1) / max(1e-3, time.monotonic() - self._finished[0])
        return min(_LONGEST_S, prompts / rate)
