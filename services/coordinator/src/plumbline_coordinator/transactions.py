"""Transactions on the coordinator's tables: one that reads, and one that holds an experiment still while it writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from plumbline_contracts.coordinator import ExperimentState
from plumbline_kit.errors import ProblemError
from sqlalchemy import Connection, Engine, Row, select

from .database import usable
from .tables import experiment

# What changes while it goes on; the spec and the manifest are long, and are not read for every batch of results.
_NAMES = ("id", "state", "attempt", "limits", "calls", "tokens", "worked_s", "since", "started")
CHANGING = [experiment.c[name] for name in _NAMES]
GOING_ON = (ExperimentState.QUEUED, ExperimentState.RUNNING)  # every other state is an end


def now() -> datetime:
    return datetime.now(UTC)


def hours(row: Row[Any]) -> float:
    """How long an experiment has been going on, in all its attempts. The time that it was paused is not counted."""
    seconds, since = float(row.worked_s), row.since or row.started
    if row.state in GOING_ON and since is not None:
        since = since if since.tzinfo else since.replace(tzinfo=UTC)  # SQLite forgets the time zone
        seconds += float((now() - since).total_seconds())
    return seconds / 3600


def worked(row: Row[Any]) -> dict[str, Any]:
    """Columns of an experiment that stops going on."""
    return {"worked_s": hours(row) * 3600, "since": None}


class Transactions:
    """All raise the problem `no-database` while the database is away."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with usable(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with usable(), self.engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                # Python's driver begins at the first change; what is read before would not be held still.
                connection.exec_driver_sql("begin immediate")
            yield connection

    @contextmanager
    def _hold(self, id: str) -> Iterator[tuple[Connection, Row[Any]]]:
        """A transaction during which nobody else changes the experiment: what is decided by its row stays true."""
        with self._write() as connection:
            row = connection.execute(
                select(*CHANGING).where(experiment.c.id == id).with_for_update(key_share=True)
            ).one_or_none()
            if row is None:
                raise ProblemError(404, "unknown-experiment", f"There is no experiment {id!r}.")
            yield connection, row
