"""What people do to an experiment as a whole: cancel, pause, resume, retry what failed."""

from typing import Any

from plumbline_contracts.coordinator import ExperimentState, PhaseName, PhaseState
from plumbline_contracts.experiment import Limits
from plumbline_contracts.judge import UnscoredCause
from plumbline_kit.errors import ProblemError
from sqlalchemy import Connection, Row, Text, and_, cast, delete, null, or_, select, update

from .tables import experiment, phase, result, training
from .transactions import GOING_ON, Transactions, now, worked

# A judge's model that was away or refused everybody; what else is unscored is an answer and would be given again.
_FAULTS = (UnscoredCause.BACKEND_UNAVAILABLE, UnscoredCause.BACKEND_REFUSED)


class Transitions(Transactions):
    """Each is one transaction. An experiment that is begun again is another attempt, and needs a workflow of its own.

    Repeating one is harmless. Raises `has-ended`, `goes-on`.
    """

    def cancel(self, id: str) -> None:
        """When this has returned, no row of the experiment changes any more."""
        with self._hold(id) as (connection, row):
            if row.state in (*GOING_ON, ExperimentState.PAUSED):
                cause = "cancelled on request"
                _set(connection, row, state=ExperimentState.CANCELLED, cause=cause, finished=now(), **worked(row))

    def pause(self, id: str) -> None:
        with self._hold(id) as (connection, row):
            if row.state in GOING_ON:
                cause = f"Paused on request. It goes on with `plumbline resume {id}`."
                _set(connection, row, state=ExperimentState.PAUSED, cause=cause, waits_for="request", **worked(row))
            elif row.state != ExperimentState.PAUSED:
                raise ProblemError(409, "has-ended", f"The experiment {id!r} is {row.state}; nothing is to be paused.")

    def resume(self, id: str, limits: Limits | None = None, attempt: int | None = None) -> bool:
        """Begin again what is paused or was cancelled; `attempt`: only if it is still that one, and paused."""
        with self._hold(id) as (connection, row):
            if attempt is not None and (row.attempt, row.state) != (attempt, ExperimentState.PAUSED):
                return False
            if row.state in (ExperimentState.COMPLETED, ExperimentState.FAILED):
                advice = f"`plumbline retry {id} --failed` does again what failed."
                raise ProblemError(409, "has-ended", f"The experiment {id!r} is {row.state}. {advice}")
            if limits is not None:
                given = limits.model_dump(exclude_unset=True)
                _set(connection, row, limits=(row.limits or {}) | given)
            if row.state == ExperimentState.CANCELLED:  # its trainings were cancelled too
                _new_jobs(connection, training.c.name.not_in(_done(id, PhaseName.TRAIN)), id)
            if row.state not in GOING_ON:
                _begin(connection, row)
        return True

    def retry(self, id: str) -> bool:
        """Forget what failed, so that it is done again with all that follows from it. False: nothing has failed."""
        with self._hold(id) as (connection, row):
            if row.state in GOING_ON:
                detail = f"The experiment {id!r} is {row.state}; what failed can be retried when it has ended."
                raise ProblemError(409, "goes-on", detail)
            failed = and_(result.c.experiment == id, _failed())
            stages = set(connection.scalars(select(result.c.stage).where(failed).distinct()))
            if not stages and row.state == ExperimentState.COMPLETED:
                return False
            names = select(result.c.item).where(failed, result.c.stage == PhaseName.TRAIN)
            _new_jobs(connection, training.c.name.in_(names), id)
            connection.execute(delete(result).where(failed))
            first = min((list(PhaseName).index(PhaseName(stage)) for stage in stages), default=len(PhaseName))
            _reopen(connection, id, list(PhaseName)[first:])
            _begin(connection, row, results=null())
        return True

    def attempt_again(self, id: str, number: int) -> int | None:
        """Leave attempt `number` behind, of an experiment that goes on; null where that has happened."""
        with self._hold(id) as (connection, row):
            if row.state not in GOING_ON or row.attempt != number:
                return None
            _set(connection, row, attempt=number + 1)
        return number + 1


def _set(connection: Connection, row: Row[Any], **values: Any) -> None:
    connection.execute(update(experiment).where(experiment.c.id == row.id).values(**values))


def _begin(connection: Connection, row: Row[Any], **values: Any) -> None:
    again = {"state": ExperimentState.QUEUED, "attempt": row.attempt + 1, "since": now()}
    _set(connection, row, **again, cause=None, waits_for=None, finished=None, **values)
    connection.execute(update(phase).where(phase.c.experiment == row.id).values(message=None))


def _reopen(connection: Connection, id: str, names: list[PhaseName]) -> None:
    """These phases, and those that had not ended, are begun again."""
    again = or_(phase.c.name.in_(names), phase.c.name == PhaseName.ANALYZE, phase.c.state != PhaseState.DONE)
    values = {"state": PhaseState.PENDING, "started": None, "finished": None}
    connection.execute(update(phase).where(phase.c.experiment == id, again).values(values))


def _failed() -> Any:
    """Without a result; of judgments also those of which an aspect has no score for a fault that may have passed."""
    body = cast(result.c.body, Text)
    partly = or_(*(body.like(f'%"cause": "{cause.value}"%') for cause in _FAULTS))
    return or_(result.c.status == "failed", and_(result.c.stage == PhaseName.JUDGE, partly))


def _done(id: str, stage: PhaseName) -> Any:
    return select(result.c.item).where(result.c.experiment == id, result.c.stage == stage)


def _new_jobs(connection: Connection, of: Any, id: str) -> None:
    """A job of the trainer that has ended stays as it ended; another one needs another name."""
    mine = and_(training.c.experiment == id, of)
    connection.execute(update(training).where(mine).values(tries=training.c.tries + 1, step=0))
