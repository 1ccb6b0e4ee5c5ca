"""Call a service that may be down: wait for it with a message, retry what may pass, split what is refused."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import stamina
from plumbline_kit.client import is_transient
from plumbline_kit.errors import ProblemError
from pydantic import ValidationError

from .rows import Outcome

Answer = TypeVar("Answer")
Tell = Callable[[str | None], Awaitable[None]]  # a message for people, or None when it is over
_TRIES = 4
# Down or busy: the request was not taken, so waiting costs nothing and there is no limit.
_NOT_TAKEN = frozenset({429, 503})
# Refused for what is in it: one item may be the reason. An unknown model is a fault of the whole batch.
_OF_ONE_ITEM = frozenset({"invalid-request", "too-large"})


async def patiently(call: Callable[[], Awaitable[Answer]], tell: Tell) -> Answer:
    """The answer, however long the service is away; raises after a few tries of a request that it took and failed."""
    failures, message = 0, ""

    def may_pass(error: Exception) -> bool | float:
        nonlocal failures, message
        if not isinstance(error, ProblemError) or not (is_transient(error) or error.status >= 500):
            return False
        failures += error.status not in _NOT_TAKEN
        message = error.detail
        if failures >= _TRIES:
            return False
        return True if error.retry_after is None else min(error.retry_after, 60.0)

    async for attempt in stamina.retry_context(on=may_pass, attempts=None, timeout=None, wait_initial=0.5, wait_max=15):
        if attempt.num > 1:
            await tell(f"Waiting: {message} Trying again (try {attempt.num}).")
        with attempt:
            answer = await call()
            if attempt.num > 1:
                await tell(None)
            return answer
    raise AssertionError("stamina raises the last error")


async def process(
    call: Callable[[Sequence[str]], Awaitable[list[Outcome]]],
    items: Sequence[str],
    tell: Tell,
) -> list[Outcome]:
    """An outcome for every item. A refused batch is halved until the item that is refused stands alone."""
    try:
        outcomes = await patiently(lambda: call(items), tell)
    except (ProblemError, ValidationError) as raised:
        # A request that our own models refuse is like one that the service refuses.
        error = raised if isinstance(raised, ProblemError) else ProblemError(422, "invalid-request", str(raised))
        if error.kind in _OF_ONE_ITEM and len(items) > 1:
            middle = len(items) // 2
            return await process(call, items[:middle], tell) + await process(call, items[middle:], tell)
        return [Outcome(item, None, f"{error.kind}: {error}") for item in items]
    answered = {outcome.item for outcome in outcomes}
    lost = [Outcome(item, None, "the service's answer lacks this item") for item in items if item not in answered]
    return [outcome for outcome in outcomes if outcome.item in set(items)] + lost
