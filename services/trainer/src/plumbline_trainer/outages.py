"""Wait for an artifact store that is away: hours of training must not be lost to it."""

import logging
from collections.abc import Callable
from typing import TypeVar

import stamina
from plumbline_kit.errors import ProblemError

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


def patiently(call: Callable[[], Answer]) -> Answer:
    """What `call` returns, however long that takes; the log says what it waits for."""
    for attempt in stamina.retry_context(on=_is_away, attempts=None, timeout=None, wait_initial=1, wait_max=30):
        with attempt:
            return call()
    raise AssertionError("stamina raises the last error")


def _is_away(error: Exception) -> bool:
    """Down, or it refuses keys that a person can change; a full disk of this machine is told at once."""
    away = isinstance(error, ProblemError) and error.kind.startswith("artifact-store-")
    if away:
        log.warning("waiting for the artifact store: %s", error)
    return away
