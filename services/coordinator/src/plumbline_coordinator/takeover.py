"""Take over what runs in processes that are gone. The workflow engine does this only for its own executor id."""

import logging
from collections import defaultdict
from collections.abc import Callable

from dbos import DBOS
from plumbline_contracts.coordinator import ExperimentState

from .lease import Claim
from .store import Store

log = logging.getLogger(__name__)
_GIVEN_UP = ("ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


def look_after(store: Store, claim: Claim, start: Callable[[str], object]) -> None:
    """Resume what is under way nowhere; `start`, or end, what its process could not any more."""
    with claim.living() as living:
        if living is None:
            return
        orphans = _orphans(living)
        for queue, ids in orphans.items():
            log.warning("taking over %s", ", ".join(ids))
            DBOS.resume_workflows(ids, queue_name=queue)  # in their own queue, so that its limits hold
        if orphans:
            store.forget_messages()
        _repair(store, start)


def _orphans(living: set[str]) -> dict[str | None, list[str]]:
    """By queue. If its process lives after all, the engine lets it write nothing more (docs/decisions/0013)."""
    found = defaultdict[str | None, list[str]](list)
    for one in DBOS.list_workflows(status="PENDING", load_input=False, load_output=False):
        if one.executor_id not in living:
            found[one.queue_name].append(one.workflow_id)
    return found


def _repair(store: Store, start: Callable[[str], object]) -> None:
    """Of what goes on by our tables: start what was stored and never started, end what the engine gave up."""
    ids = store.going_on()
    found = DBOS.list_workflows(workflow_ids=list(ids), load_input=False) if ids else []
    for id in ids - {one.workflow_id for one in found}:
        start(id)
    for one in found:
        if one.status in _GIVEN_UP:
            log.error("the workflow of %s ended without its end: %s", one.workflow_id, one.error)
            cause = f"Its workflow ended as {one.status}: {one.error or 'no cause given'}"
            store.end(one.workflow_id, ExperimentState.FAILED, cause)
