"""Take over what runs in processes that are gone. The workflow engine does this only for its own executor id."""

import logging
from collections import defaultdict
from collections.abc import Callable

from dbos import DBOS, WorkflowStatus
from plumbline_contracts.coordinator import ExperimentState

from .lease import Claim
from .store import Store

log = logging.getLogger(__name__)
Start = Callable[[str, int], object]
# The order of steps. Bump it when that changes: what runs under another one is begun again (docs/decisions/0016).
FLOW_VERSION = "flow-3"
_GIVEN_UP = ("ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


def workflow_id(id: str, attempt: int) -> str:
    """Ids of experiments have no slash."""
    return id if attempt == 1 else f"{id}/attempt-{attempt}"


def look_after(store: Store, claim: Claim, start: Start) -> None:
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
        _repair(store, start, living - {claim.holder})


def _orphans(living: set[str]) -> dict[str | None, list[str]]:
    """By queue. If its process lives after all, the engine lets it write nothing more (docs/decisions/0013)."""
    found = defaultdict[str | None, list[str]](list)
    for one in DBOS.list_workflows(status="PENDING", load_input=False, load_output=False):
        if one.executor_id not in living and one.app_version == FLOW_VERSION:
            found[one.queue_name].append(one.workflow_id)
    return found


def _repair(store: Store, start: Start, others: set[str]) -> None:
    """Of what goes on by our tables: start what was never started or nobody can go on with, end what was given up."""
    attempts = {workflow_id(id, attempt): (id, attempt) for id, attempt in store.going_on().items()}
    found = DBOS.list_workflows(workflow_ids=list(attempts), load_input=False) if attempts else []
    for absent in attempts.keys() - {one.workflow_id for one in found}:
        start(*attempts[absent])
    for one in found:
        id, attempt = attempts[one.workflow_id]
        if one.status in _GIVEN_UP:
            log.error("the workflow of %s ended without its end: %s", id, one.error)
            cause = f"Its workflow ended as {one.status}: {one.error or 'no cause given'}"
            store.attempt(id, attempt).end(ExperimentState.FAILED, cause)
        elif _is_stranded(one, others) and (next_attempt := store.attempt_again(id, attempt)) is not None:
            log.warning("%s goes on in another workflow: it had one of %s, %s", id, one.app_version, one.status)
            DBOS.cancel_workflow(one.workflow_id, cancel_children=True)
            start(id, next_attempt)


def _is_stranded(one: WorkflowStatus, others: set[str]) -> bool:
    """Over before its experiment, or of another order of steps and not under way in a living process that has it."""
    if one.status in ("SUCCESS", "CANCELLED"):
        return True
    under_way = one.status == "PENDING" and one.executor_id in others
    return one.status in ("ENQUEUED", "PENDING") and one.app_version != FLOW_VERSION and not under_way
