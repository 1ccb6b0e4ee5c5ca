"""How far an experiment is."""

import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from plumbline_contracts.coordinator import Experiment, ExperimentState, Phase, PhaseName, PhaseState
from sqlalchemy import Row

from .store import Store

_LEAST_ROOM = 2**20


def trouble(folders: Iterable[Path]) -> str | None:
    """Why nothing can go on on this machine. Looked up when asked: with a full disk it could not be stored."""
    for folder in folders:
        if folder.is_dir() and (free := shutil.disk_usage(folder).free) < _LEAST_ROOM:
            return f"The disk of {folder} is full ({free} bytes left). Make room; it then goes on by itself."
    return None


def progress(store: Store, row: Row[Any], trouble: str | None = None) -> Experiment:
    phases = store.phases(row.id)

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
            started=_utc(stored.started),
            finished=_utc(stored.finished),
        )

    return Experiment(
        id=row.id,
        name=row.name,
        state=ExperimentState(row.state),
        cause=row.cause,
        phases=[phase(name) for name in PhaseName],
        spec_sha256=row.spec_sha256,
        created=_utc(row.created) or row.created,
        started=_utc(row.started),
        finished=_utc(row.finished),
    )


def _utc(time: datetime | None) -> datetime | None:
    """SQLite forgets the time zone; the tables hold UTC."""
    return time.replace(tzinfo=UTC) if time is not None and time.tzinfo is None else time
