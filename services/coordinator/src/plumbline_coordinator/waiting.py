"""Call a service that may be down: wait for it with a message, retry what may pass, split what is refused."""

import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from plumbline_kit.client import OUTSTANDING, is_transient
from plumbline_kit.errors import ProblemError
from plumbline_kit.retrying import retried
from pydantic import ValidationError

from .flow import BUSY
from .rows import Outcome

Answer = TypeVar("Answer")
_TRIES = 4
# A missing or wrong token, key or right: every request would be refused, whatever is in it.
_REFUSES_US = frozenset({401, 403})
# Refused for what is in it: one item may be the reason. An unknown model is a fault of the whole batch.
_OF_ONE_ITEM = frozenset({"invalid-request", "too-large"})


@dataclass(frozen=True)
class Tell:
    """Who hears what is waited for (null when it is over), and how long what is away is waited for."""

    say: Callable[[str | None], Awaitable[None]]
    patience_s: float = math.inf

    async def __call__(self, message: str | None) -> None:
        await self.say(message)


class Stuck(Exception):
    """It makes no sense to go on before something has changed: `kind` is credentials, decoding or service."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def was_taken(error: ProblemError) -> bool:
    """Not by who is down or busy, nor where the first one is still being answered: then waiting costs nothing."""
    return error.status not in BUSY and error.kind != OUTSTANDING


async def patiently(call: Callable[[], Awaitable[Answer]], tell: Tell) -> Answer:
    """The answer; raises after a few tries of a request that was taken and failed, or Stuck when patience is over."""
    tries, failures, message, begun = 0, 0, "", time.monotonic()

    def may_pass(error: Exception) -> bool | float:
        nonlocal failures, message
        if not isinstance(error, ProblemError):
            return False
        if error.status in _REFUSES_US:
            raise Stuck("credentials", error.detail) from error
        if not (is_transient(error) or error.status >= 500):
            return False
        away = not was_taken(error)
        failures, message = failures + (not away), error.detail
        if failures >= _TRIES:
            return False
        # Without a database, nobody could be told that it is paused.
        if away and time.monotonic() - begun > tell.patience_s and error.kind != "no-database":
            raise Stuck("service", f"{message} So it was for over {tell.patience_s:g} s.") from error
        return True if error.retry_after is None else min(error.retry_after, 60.0)

    async def attempt() -> Answer:
        nonlocal tries
        tries += 1
        if tries > 1:
            await tell(f"Waiting: {message} Trying again (try {tries}).")
        answer = await call()
        if tries > 1:
            await tell(None)
        return answer

    return await retried(attempt, on=may_pass, attempts=None, timeout=None, wait_initial=0.5, wait_max=15)


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
