"""Stamina's retries, for calls of which nearly all succeed at once; and how long a server asks to wait."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import stamina

Answer = TypeVar("Answer")


async def retried(call: Callable[[], Awaitable[Answer]], **rule: Any) -> Answer:
    """The answer of `call`, which is tried again by a rule of `stamina.retry_context`; raises its last error.

    Stamina is only asked once something failed: its contexts take as long as a tenth of a call over HTTP.
    """
    try:
        return await call()
    except Exception as error:
        failed = error
    async for attempt in stamina.retry_context(**rule):
        with attempt:
            if attempt.num == 1:
                raise failed
            return await call()
    raise AssertionError("stamina raises the last error")


def seconds_asked(headers: Mapping[str, str]) -> float | None:
    """Of Retry-After. Null without it, and where it is a date, which needs clocks that agree."""
    given = headers.get("Retry-After", "")
    return float(given) if given.isdecimal() else None
