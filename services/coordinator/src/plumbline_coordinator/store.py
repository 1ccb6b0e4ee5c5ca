"""Everything the coordinator keeps, behind plain methods. Synchronous: call it from threads."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from plumbline_contracts.common import Artifact
from plumbline_contracts.coordinator import ExperimentState, PhaseName, PhaseState
from plumbline_contracts.experiment import ExperimentSpec
from plumbline_kit.errors import ProblemError
from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, exists, func, or_, select, update

from .database import insert_new, usable
from .tables import chunk, experiment, item, phase, result, training

Key = tuple[str, str]
GOING_ON = (ExperimentState.QUEUED, ExperimentState.RUNNING)  # every other state is an end


@dataclass(frozen=True)
class Chunk:
    """A batch of one stage: `items` of one `unit` (the language, arm/language or judge/arm/language they belong to)."""

    number: int
    unit: str
    items: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of one item: a body, or the cause why there is none."""

    item: str
    body: dict[str, Any] | None
    cause: str | None = None


@dataclass(frozen=True)
class Item:
    """One instruction in one language; `source` still has to be translated where `translate` is set."""

    language: str
    item: str
    position: int
    category: str
    tasks: list[str]
    source: str
    translate: bool
    reference: str | None


def now() -> datetime:
    return datetime.now(UTC)


class Store:
    """Any of these may happen twice, also by a process that was taken for dead: the second time changes nothing.

    All raise the problem `no-database` while the database is away.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with usable(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with usable(), self.engine.begin() as connection:
            yield connection

    # --- experiments ---

    def create(
        self, id: str, spec: ExperimentSpec, text: str, source: str, files: dict[str, Artifact], sha256: str
    ) -> Row[Any]:
        """Insert unless the id is there; return the row."""
        values = {
            "id": id,
            "name": spec.name,
            "spec": text,
            "source": source,
            "files": {path: artifact.model_dump() for path, artifact in files.items()},
            "spec_sha256": sha256,
            "resolved": spec.model_dump(mode="json"),
            "state": ExperimentState.QUEUED,
            "created": now(),
        }
        phases = [{"experiment": id, "name": name, "state": PhaseState.PENDING, "total": 0} for name in PhaseName]
        with self._write() as connection:
            insert_new(connection, experiment, [values])
            insert_new(connection, phase, phases)
        return self.get(id)

    def get(self, id: str) -> Row[Any]:
        with self._read() as connection:
            row = connection.execute(select(experiment).where(experiment.c.id == id)).one_or_none()
        if row is None:
            raise ProblemError(404, "unknown-experiment", f"There is no experiment {id!r}.")
        return row

    def ask(self) -> None:
        """Raise what the database raises when it cannot be used."""
        with self._read() as connection:
            connection.execute(select(experiment.c.id).limit(1))

    def state(self, id: str) -> ExperimentState:
        with self._read() as connection:
            return ExperimentState(connection.scalars(select(experiment.c.state).where(experiment.c.id == id)).one())

    def exists(self, id: str) -> bool:
        with self._read() as connection:
            return connection.scalar(select(func.count()).where(experiment.c.id == id)) == 1

    def all(self) -> Sequence[Row[Any]]:
        with self._read() as connection:
            return connection.execute(select(experiment).order_by(experiment.c.created.desc())).all()

    def going_on(self) -> set[str]:
        with self._read() as connection:
            return set(connection.scalars(select(experiment.c.id).where(experiment.c.state.in_(GOING_ON))))

    def spec(self, id: str) -> ExperimentSpec:
        return ExperimentSpec.model_validate(self.get(id).resolved)

    def files(self, id: str) -> dict[str, Artifact]:
        return {path: Artifact(**artifact) for path, artifact in self.get(id).files.items()}

    def start(self, id: str) -> None:
        self._move(id, (ExperimentState.QUEUED,), ExperimentState.RUNNING, started=now())

    def end(self, id: str, state: ExperimentState, cause: str | None = None) -> None:
        """A state that has ended never changes again."""
        self._move(id, GOING_ON, state, cause=cause, finished=now())

    def _move(self, id: str, allowed: Iterable[ExperimentState], state: ExperimentState, **values: Any) -> None:
        with self._write() as connection:
            where = and_(experiment.c.id == id, experiment.c.state.in_(list(allowed)))
            connection.execute(update(experiment).where(where).values(state=state, **values))

    def keep(self, id: str, **columns: Any) -> None:
        """Store the manifest or the results of an experiment that goes on, unless they are there."""
        absent = [experiment.c[name].is_(None) for name in columns]
        with self._write() as connection:
            where = and_(experiment.c.id == id, experiment.c.state.in_(GOING_ON), *absent)
            connection.execute(update(experiment).where(where).values(**columns))

    def complete(self, id: str, manifest: dict[str, Any]) -> None:
        """Replace the manifest of an experiment that goes on, now that more is known."""
        with self._write() as connection:
            where = and_(experiment.c.id == id, experiment.c.state.in_(GOING_ON))
            connection.execute(update(experiment).where(where).values(manifest=manifest))

    # --- phases: pending, running, done, and never back; as they are when the experiment has ended ---

    def phases(self, id: str) -> dict[str, Row[Any]]:
        with self._read() as connection:
            return {row.name: row for row in connection.execute(select(phase).where(phase.c.experiment == id))}

    def start_phase(self, id: str, name: PhaseName, total: int) -> None:
        values = {"state": PhaseState.RUNNING, "started": now(), "total": total}
        with self._write() as connection:
            connection.execute(update(phase).where(_phase_is(id, name, PhaseState.PENDING)).values(values))

    def end_phase(self, id: str, name: PhaseName) -> None:
        values = {"state": PhaseState.DONE, "finished": now(), "message": None}
        with self._write() as connection:
            connection.execute(update(phase).where(_phase_is(id, name, PhaseState.RUNNING)).values(values))

    def tell(self, id: str, name: PhaseName, message: str | None) -> None:
        with self._write() as connection:
            connection.execute(update(phase).where(_phase_is(id, name, PhaseState.RUNNING)).values(message=message))

    def forget_messages(self) -> None:
        """Those of a process that has ended would stay; a living one tells again what it waits for."""
        with self._write() as connection:
            connection.execute(update(phase).where(phase.c.message.is_not(None)).values(message=None))

    def counts(self, id: str) -> dict[tuple[str, str], int]:
        """(stage, status) -> number of results."""
        query = (
            select(result.c.stage, result.c.status, func.count())
            .where(result.c.experiment == id)
            .group_by(result.c.stage, result.c.status)
        )
        with self._read() as connection:
            return {(stage, status): count for stage, status, count in connection.execute(query)}

    # --- items, chunks, results ---

    def add_items(self, id: str, items: Iterable[Item]) -> None:
        with self._write() as connection:
            insert_new(connection, item, [{"experiment": id, **vars(one)} for one in items])

    def items(self, id: str) -> list[Item]:
        query = select(item).where(item.c.experiment == id).order_by(item.c.language, item.c.position)
        with self._read() as connection:
            return [
                Item(
                    row.language,
                    row.item,
                    row.position,
                    row.category,
                    row.tasks,
                    row.source,
                    bool(row.translate),
                    row.reference,
                )
                for row in connection.execute(query)
            ]

    def plan(self, id: str, stage: PhaseName, planned: Iterable[Chunk]) -> list[Chunk]:
        """Keep how a stage is cut and start its phase. The first cut stays; the one that stays is returned."""
        rows = [
            {"experiment": id, "stage": stage, "number": one.number, "unit": one.unit, "items": list(one.items)}
            for one in planned
        ]
        mine = and_(chunk.c.experiment == id, chunk.c.stage == stage)
        with self._write() as connection:
            # One process after the other: cuts into batches of different sizes must not mix.
            of_phase = and_(phase.c.experiment == id, phase.c.name == stage)
            connection.execute(select(phase.c.name).where(of_phase).with_for_update())
            if connection.scalar(select(func.count()).where(mine)) == 0:
                insert_new(connection, chunk, rows)
            kept = connection.execute(select(chunk).where(mine).order_by(chunk.c.number)).all()
        self.start_phase(id, stage, sum(len(row.items) for row in kept))
        return [Chunk(row.number, row.unit, tuple(row.items)) for row in kept]

    def chunk(self, id: str, stage: str, number: int) -> Chunk:
        where = and_(chunk.c.experiment == id, chunk.c.stage == stage, chunk.c.number == number)
        with self._read() as connection:
            row = connection.execute(select(chunk).where(where)).one()
        return Chunk(row.number, row.unit, tuple(row.items))

    def save(self, id: str, stage: str, unit: str, outcomes: Iterable[Outcome]) -> None:
        """Keep outcomes in one transaction; what is there already stays as it is."""
        rows = [
            {
                "experiment": id,
                "stage": stage,
                "unit": unit,
                "item": one.item,
                "status": "ok" if one.cause is None else "failed",
                "body": one.body,
                "cause": one.cause,
            }
            for one in outcomes
        ]
        with self._write() as connection:
            insert_new(connection, result, rows)

    def done(self, id: str, stage: str, unit: str) -> set[str]:
        """The items of a unit that have a result."""
        where = and_(result.c.experiment == id, result.c.stage == stage, result.c.unit == unit)
        with self._read() as connection:
            return set(connection.scalars(select(result.c.item).where(where)))

    def results(self, id: str, stage: str, units: Iterable[str] | None = None) -> dict[Key, Outcome]:
        """(unit, item) -> what became of it."""
        query = select(result).where(result.c.experiment == id, result.c.stage == stage)
        if units is not None:
            query = query.where(result.c.unit.in_(list(units)))
        with self._read() as connection:
            return {(row.unit, row.item): Outcome(row.item, row.body, row.cause) for row in connection.execute(query)}

    # --- trainings ---

    def set_training(self, id: str, name: str, job: str, step: int, total_steps: int) -> None:
        row = {"experiment": id, "name": name, "job": job, "step": step, "total_steps": total_steps}
        with self._write() as connection:
            insert_new(connection, training, [row])
            further = or_(training.c.job != job, training.c.step < step)
            where = and_(training.c.experiment == id, training.c.name == name, further)
            connection.execute(update(training).where(where).values(**row))

    def trainings(self, id: str) -> Sequence[Row[Any]]:
        with self._read() as connection:
            return connection.execute(select(training).where(training.c.experiment == id)).all()


def _phase_is(id: str, name: PhaseName, state: PhaseState) -> ColumnElement[bool]:
    goes_on = exists().where(experiment.c.id == id, experiment.c.state.in_(GOING_ON))
    return and_(phase.c.experiment == id, phase.c.name == name, phase.c.state == state, goes_on)
