"""How far an experiment is."""

from datetime import UTC, datetime
from typing import Any

from plumbline_contracts.coordinator import Experiment, ExperimentState, Flow, Phase, PhaseName, PhaseState, Spent
from plumbline_contracts.experiment import Limits
from sqlalchemy import Row

from .store import Store
from .transactions import hours


def progress(store: Store, row: Row[Any], trouble: str | None = None) -> Experiment:
    phases, flows = store.phases(row.id), store.flows(row.id)

    def phase(name: PhaseName) -> Phase:
        stored = phases[name]
        done, failed, total = stored.done, stored.failed, stored.total
        if name in (PhaseName.PREPARE, PhaseName.ANALYZE):
            done = total if stored.state == PhaseState.DONE else 0
        elif name == PhaseName.TRAIN and (jobs := store.trainings(row.id)):
            # Steps say more than the number of trainings; a training that has not begun counts as one step.
            waiting = max(0, total - len(jobs))
            done, total = sum(job.step for job in jobs) + stored.reused, sum(job.total_steps for job in jobs) + waiting
        return Phase(
            name=name,
            state=stored.state,
            done=done,
            total=total,
            failed=failed,
            reused=stored.reused,
            message=(trouble if stored.state == PhaseState.RUNNING else None) or stored.message,
            flow=[
                Flow(service=one.service, at_once=one.at_once, most=one.most, per_second=one.per_second)
                for one in flows
                if one.stage == name
            ],
            started=_utc(stored.started),
            finished=_utc(stored.finished),
        )

    return Experiment(
        id=row.id,
        name=row.name,
        state=ExperimentState(row.state),
        cause=row.cause,
        phases=[phase(name) for name in PhaseName],
        attempt=row.attempt,
        limits=Limits.model_validate(row.limits or {}),
        spent=Spent(calls=row.calls, tokens=row.tokens, hours=round(hours(row), 4)),
        usage=store.usage(row.id),
        spec_sha256=row.spec_sha256,
        created=_utc(row.created) or row.created,
        started=_utc(row.started),
        finished=_utc(row.finished),
    )


def _utc(time: datetime | None) -> datetime | None:
    """SQLite forgets the time zone; the tables hold UTC."""
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time
