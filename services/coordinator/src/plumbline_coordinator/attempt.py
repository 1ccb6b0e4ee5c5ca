"""What a workflow writes. An experiment that has ended, or is another attempt by now, is changed by nothing here."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from plumbline_contracts.coordinator import ExperimentState, PhaseName, PhaseState
from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, func, or_, select, update

from . import accounting
from .database import insert_new
from .rows import Chunk, Item, Outcome
from .tables import chunk, experiment, flow, item, phase, result, training
from .transactions import CHANGING, GOING_ON, Transactions, now, worked

Batch = tuple[str, list[Outcome]]  # a unit, and outcomes of items of it
_AT_ONCE = 1000  # rows of a statement, so that memory does not grow with the experiment


class Attempt(Transactions):
    """One workflow of an experiment. Any of these may happen twice: the second time changes nothing.

    Also when this process was taken for dead and its work is done by another. What is decided and what is written
    are one transaction with the experiment's row held, so that nothing is written after a cancellation has returned.
    """

    def __init__(self, engine: Engine, id: str, number: int) -> None:
        super().__init__(engine)
        self.id, self.number = id, number

    @contextmanager
    def _change(self) -> Iterator[Connection | None]:
        """A transaction, or null where there is nothing to change any more."""
        with self._hold(self.id) as (connection, row):
            yield connection if self.is_in(row, *GOING_ON) else None

    def is_in(self, row: Row[Any], *states: ExperimentState) -> bool:
        return row.state in states and row.attempt == self.number

    def goes_on(self) -> bool:
        with self._read() as connection:
            query = select(experiment.c.state, experiment.c.attempt).where(experiment.c.id == self.id)
            state, attempt = connection.execute(query).one()
        return state in GOING_ON and attempt == self.number

    def start(self) -> None:
        with self._change() as connection:
            if connection is not None:
                started = func.coalesce(experiment.c.started, now())
                self._set(connection, state=ExperimentState.RUNNING, started=started)

    def end(self, state: ExperimentState, cause: str | None = None) -> None:
        with self._hold(self.id) as (connection, row):
            if self.is_in(row, *GOING_ON):
                self._set(connection, state=state, cause=cause, finished=now(), **worked(row))

    def pause(self, waits_for: str, cause: str) -> None:
        """It cannot go on. Batches that are under way are still stored."""
        with self._hold(self.id) as (connection, row):
            if self.is_in(row, *GOING_ON):
                self._set(connection, state=ExperimentState.PAUSED, cause=cause, waits_for=waits_for, **worked(row))

    def keep(self, **columns: Any) -> None:
        """Store the manifest or the results, unless they are there."""
        with self._change() as connection:
            if connection is not None:
                absent = [experiment.c[name].is_(None) for name in columns]
                connection.execute(update(experiment).where(experiment.c.id == self.id, *absent).values(**columns))

    def complete(self, manifest: dict[str, Any]) -> None:
        """Replace the manifest, now that more is known."""
        with self._change() as connection:
            if connection is not None:
                self._set(connection, manifest=manifest)

    def _set(self, connection: Connection, **values: Any) -> None:
        connection.execute(update(experiment).where(experiment.c.id == self.id).values(**values))

    # --- phases: pending, running, done, and never back within an attempt ---

    def begins(self, name: PhaseName) -> bool:
        """Start a phase that is one piece of work; false where it is done, or not wanted any more."""
        self.start_phase(name, 1)
        with self._change() as connection:
            if connection is None:
                return False
            return connection.scalar(select(phase.c.state).where(self._is(name))) == PhaseState.RUNNING

    def start_phase(self, name: PhaseName, total: int) -> None:
        self._phase(name, PhaseState.PENDING, state=PhaseState.RUNNING, started=now(), total=total)

    def end_phase(self, name: PhaseName) -> None:
        self._phase(name, PhaseState.RUNNING, state=PhaseState.DONE, finished=now(), message=None)

    def tell(self, name: PhaseName, message: str | None) -> None:
        self._phase(name, PhaseState.RUNNING, message=message)

    def _phase(self, name: PhaseName, given: PhaseState, **values: Any) -> None:
        with self._change() as connection:
            if connection is not None:
                where = and_(self._is(name), phase.c.state == given)
                connection.execute(update(phase).where(where).values(**values))

    def _is(self, name: PhaseName) -> ColumnElement[bool]:
        return and_(phase.c.experiment == self.id, phase.c.name == name)

    # --- items, chunks, results ---

    def add_items(self, items: Iterable[Item]) -> None:
        with self._change() as connection:
            if connection is not None:
                _insert(connection, item, ({"experiment": self.id, **vars(one)} for one in items))

    def plan(self, stage: PhaseName, planned: Iterable[Chunk]) -> list[str]:
        """Keep how a stage is cut, unless a cut is there: the first one stays. Return its units.

        One process after the other, as the row of the experiment is held: cuts of different sizes must not mix.
        """
        mine = and_(chunk.c.experiment == self.id, chunk.c.stage == stage)
        with self._change() as connection:
            if connection is None:
                return []
            if connection.scalar(select(func.count()).where(mine)) == 0:
                rows = (
                    {"experiment": self.id, "stage": stage, "number": one.number, "unit": one.unit, "items": one.items}
                    for one in planned
                )
                _insert(connection, chunk, rows)
            self._recount(connection, stage)
            units = select(chunk.c.unit).where(mine).group_by(chunk.c.unit).order_by(func.min(chunk.c.number))
            return list(connection.scalars(units))

    def _recount(self, connection: Connection, stage: PhaseName) -> None:
        """Count the results of a stage. From here on `save` adds to that, so that nobody has to count again."""
        mine = and_(result.c.experiment == self.id, result.c.stage == stage)
        failed = func.count().filter(result.c.status == "failed")
        query = select(func.count().label("done"), failed.label("failed"), func.count(result.c.origin).label("reused"))
        counts = connection.execute(query.where(mine)).one()
        connection.execute(update(phase).where(self._is(stage)).values(counts._asdict()))

    def save(self, stage: PhaseName, batches: Iterable[Batch], calls: int = 0) -> Row[Any]:
        """Keep outcomes, and what they cost, in one transaction; what is there already stays as it is.

        Also when the experiment was paused meanwhile. Return its row as it is then.
        """
        rows = [self._row(stage, unit, one) for unit, outcomes in batches for one in outcomes]
        counted = accounting.sums(batches)
        used = sum(map(accounting.tokens, counted.values()))
        with self._hold(self.id) as (connection, row):
            if not self.is_in(row, *GOING_ON, ExperimentState.PAUSED):
                return row
            if insert_new(connection, result, rows) == len(rows):
                self._count(connection, stage, rows)
            else:  # some were there: which ones, only the table can tell
                self._recount(connection, stage)
            accounting.add(connection, self.id, self.number, counted)
            if not (calls or used):
                return row
            spent = {"calls": experiment.c.calls + calls, "tokens": experiment.c.tokens + used}
            changed = update(experiment).where(experiment.c.id == self.id).values(spent).returning(*CHANGING)
            return connection.execute(changed).one()

    def _count(self, connection: Connection, stage: PhaseName, added: list[dict[str, Any]]) -> None:
        further = {
            "done": phase.c.done + len(added),
            "failed": phase.c.failed + sum(row["status"] == "failed" for row in added),
            "reused": phase.c.reused + sum(row["origin"] is not None for row in added),
        }
        connection.execute(update(phase).where(self._is(stage)).values(further))

    def _row(self, stage: PhaseName, unit: str, one: Outcome) -> dict[str, Any]:
        status = "ok" if one.cause is None else "failed"
        key = {"experiment": self.id, "stage": stage, "unit": unit, "item": one.item}
        return key | {"status": status, "body": one.body, "cause": one.cause, "key": one.key, "origin": one.origin}

    def tell_flow(self, stage: PhaseName, service: str, **values: Any) -> None:
        """How fast the service is asked now, for people."""
        key = {"experiment": self.id, "stage": stage, "service": service}
        with self._change() as connection:
            if connection is not None:
                insert_new(connection, flow, [key | values])
                mine = and_(*(flow.c[name] == value for name, value in key.items()))
                connection.execute(update(flow).where(mine).values(**values))

    def set_training(self, name: str, job: str, step: int, total_steps: int) -> None:
        row = {"experiment": self.id, "name": name, "job": job, "step": step, "total_steps": total_steps}
        with self._change() as connection:
            if connection is None:
                return
            insert_new(connection, training, [row])
            further = or_(training.c.job != job, training.c.step < step)
            where = and_(training.c.experiment == self.id, training.c.name == name, further)
            connection.execute(update(training).where(where).values(**row))


def _insert(connection: Connection, table: Any, rows: Iterator[dict[str, Any]]) -> None:
    while some := list(islice(rows, _AT_ONCE)):
        insert_new(connection, table, some)
