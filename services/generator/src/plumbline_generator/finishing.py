"""Several pieces of work side by side, their results as they finish."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def as_finished(work: Iterable[Coroutine[Any, Any, T]]) -> AsyncGenerator[T]:
    """Where one fails, or nobody wants the rest, the others are cancelled and waited for.

    Not a TaskGroup, which must be left by the task that entered it: the iterator may be closed by another.
    """
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        for finished in asyncio.as_completed(tasks):
            yield await finished
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
