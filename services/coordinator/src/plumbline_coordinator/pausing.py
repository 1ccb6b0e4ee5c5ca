"""Pause what cannot go on, with a message that says why, and what to do."""

from collections.abc import Collection

from .budget import exceeded
from .disk import full
from .run import Run
from .waiting import Stuck


def pause_if_needed(run: Run, limits: Collection[str] = ("calls", "tokens", "hours")) -> bool:
    """Whether the attempt goes on, after a look at the disk and at these limits; it is paused if need be."""
    if (trouble := full(run.settings, run.store.engine)) is not None:
        run.attempt.pause("disk", f"{trouble} Make room; it then goes on by itself.")
    elif (trouble := exceeded(run.store.get(run.id), limits)) is not None:
        run.attempt.pause("limit", trouble)
    return run.attempt.goes_on()


def pause(run: Run, stuck: Stuck, service: str | None) -> None:
    """`service`: the one that was called, as `Run.client` names it; null where it may be any."""
    by_hand = f"`plumbline resume {run.id}`"
    if stuck.kind == "credentials":
        run.attempt.pause("credentials", f"{stuck} Put the credential right, then: {by_hand}.")
    elif stuck.kind == "decoding":
        other = "or run the file with another `decoding`, as an experiment of its own"
        run.attempt.pause("decoding", f"{stuck} Have a generator that can, then: {by_hand}; {other}.")
    else:
        waits_for, named = (f"service {service}", service) if service else ("service", "every service")
        run.attempt.pause(waits_for, f"{stuck} It goes on by itself when {named} is ready, or with {by_hand}.")
