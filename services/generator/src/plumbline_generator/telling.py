"""Texts that are told while they are written, without anything that a stop string would take back."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from plumbline_contracts.generator import FinishReason, Generation, Origin
from plumbline_kit.errors import ProblemError

from .stopping import cut

Tell = Callable[[str, str], None]
"""Gets a prompt's id and what is new of its `text`, in the event loop of who asked. It need not get all of it: the
rest is known from the Generation."""


@dataclass(frozen=True)
class Part:
    id: str
    text: str


class Telling:
    """Holds the end of one text back as long as it may begin a stop string."""

    def __init__(self, tell: Tell, id: str, stop: Sequence[str]) -> None:
        self._tell, self._id, self._stop, self._held = tell, id, stop, ""

    def read(self, more: str) -> None:
        self._held += more
        certain, stopped = cut(self._held, self._stop)
        if not stopped:
            certain = certain[: len(certain) - _begun(certain, self._stop)]
        self._held = self._held[len(certain) :]
        if certain:
            self._tell(self._id, certain)


def _begun(text: str, stop: Sequence[str]) -> int:
    """How many characters at the end of a text may begin a stop string."""
    most = min(len(text), max((len(string) for string in stop), default=0))
    return next((n for n in range(most, 0, -1) if any(string.startswith(text[-n:]) for string in stop)), 0)


async def parts_of(
    stream: Callable[[Tell], AsyncGenerator[Generation | Origin]],
) -> AsyncGenerator[Part | Generation | Origin]:
    """What a stream yields, and before each Generation its text: as it is told, and then what was not told."""
    found = asyncio.Queue[Part | Generation | Origin | None]()

    async def read() -> None:
        async with aclosing(stream(lambda id, text: found.put_nowait(Part(id, text)))) as results:
            async for result in results:
                found.put_nowait(result)

    reading, told = asyncio.create_task(read()), dict[str, str]()
    reading.add_done_callback(lambda _: found.put_nowait(None))
    try:
        while (one := await found.get()) is not None:
            if isinstance(one, Part):
                told[one.id] = told.get(one.id, "") + one.text
            elif isinstance(one, Generation) and (rest := _untold(one, told.pop(one.id, ""))):
                yield Part(one.id, rest)
            yield one
        await reading
    finally:
        reading.cancel()
        await asyncio.wait([reading])


def _untold(one: Generation, told: str) -> str:
    if one.finish_reason != FinishReason.ERROR and not one.text.startswith(told):
        detail = f"Prompt {one.id}: the text is not the one that the engine told while it wrote; ask without a stream."
        raise ProblemError(502, "text-changed", detail)
    return one.text[len(told) :]
