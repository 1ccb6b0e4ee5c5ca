"""Everything the coordinator keeps, behind plain methods. Synchronous: call it from threads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from plumbline_contracts.common import Artifact
from plumbline_contracts.coordinator import ExperimentState, PhaseName, PhaseState
from plumbline_contracts.experiment import ExperimentSpec
from plumbline_kit.errors import ProblemError
from sqlalchemy import Engine, Row, and_, func, select, update

from .database import insert_new
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
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

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
        with self.engine.begin() as connection:
            insert_new(connection, experiment, [values])
            insert_new(connection, phase, phases)
        return self.get(id)

    def get(self, id: str) -> Row[Any]:
        with self.engine.connect() as connection:
            row = connection.execute(select(experiment).where(experiment.c.id == id)).one_or_none()
        if row is None:
            raise ProblemError(404, "unknown-experiment", f"There is no experiment {id!r}.")
        return row

    def ask(self) -> None:
        """Raise what the database raises when it cannot be used."""
        with self.engine.connect() as connection:
            connection.execute(select(experiment.c.id).limit(1))

    def state(self, id: str) -> ExperimentState:
        with self.engine.connect() as connection:
            return ExperimentState(connection.scalars(select(experiment.c.state).where(experiment.c.id == id)).one())

    def exists(self, id: str) -> bool:
        with self.engine.connect() as connection:
            return connection.scalar(select(func.count()).where(experiment.c.id == id)) == 1

    def all(self) -> Sequence[Row[Any]]:
        with self.engine.connect() as connection:
            return connection.execute(select(experiment).order_by(experiment.c.created.desc())).all()

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
        with self.engine.begin() as connection:
            where = and_(experiment.c.id == id, experiment.c.state.in_(list(allowed)))
            connection.execute(update(experiment).where(where).values(state=state, **values))

    def keep(self, id: str, **columns: Any) -> None:
        """Store the manifest or the results."""
        with self.engine.begin() as connection:
            connection.execute(update(experiment).where(experiment.c.id == id).values(**columns))

    # --- phases ---

    def phases(self, id: str) -> dict[str, Row[Any]]:
        with self.engine.connect() as connection:
            return {row.name: row for row in connection.execute(select(phase).where(phase.c.experiment == id))}

    def set_phase(self, id: str, name: PhaseName, **values: Any) -> None:
        with self.engine.begin() as connection:
            where = and_(phase.c.experiment == id, phase.c.name == name)
            connection.execute(update(phase).where(where).values(**values))

    def counts(self, id: str) -> dict[tuple[str, str], int]:
        """(stage, status) -> number of results."""
        query = (
            select(result.c.stage, result.c.status, func.count())
            .where(result.c.experiment == id)
            .group_by(result.c.stage, result.c.status)
        )
        with self.engine.connect() as connection:
            return {(stage, status): count for stage, status, count in connection.execute(query)}

    # --- items, chunks, results ---

    def add_items(self, id: str, items: Iterable[Item]) -> None:
        with self.engine.begin() as connection:
            insert_new(connection, item, [{"experiment": id, **vars(one)} for one in items])

    def items(self, id: str) -> list[Item]:
        query = select(item).where(item.c.experiment == id).order_by(item.c.language, item.c.position)
        with self.engine.connect() as connection:
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

    def add_chunks(self, id: str, stage: str, chunks: Iterable[Chunk]) -> None:
        rows = [
            {"experiment": id, "stage": stage, "number": one.number, "unit": one.unit, "items": list(one.items)}
            for one in chunks
        ]
        with self.engine.begin() as connection:
            insert_new(connection, chunk, rows)

    def chunk(self, id: str, stage: str, number: int) -> Chunk:
        where = and_(chunk.c.experiment == id, chunk.c.stage == stage, chunk.c.number == number)
        with self.engine.connect() as connection:
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
        with self.engine.begin() as connection:
            insert_new(connection, result, rows)

    def done(self, id: str, stage: str, unit: str) -> set[str]:
        """The items of a unit that have a result."""
        where = and_(result.c.experiment == id, result.c.stage == stage, result.c.unit == unit)
        with self.engine.connect() as connection:
            return set(connection.scalars(select(result.c.item).where(where)))

    def results(self, id: str, stage: str, units: Iterable[str] | None = None) -> dict[Key, Outcome]:
        """(unit, item) -> what became of it."""
        query = select(result).where(result.c.experiment == id, result.c.stage == stage)
        if units is not None:
            query = query.where(result.c.unit.in_(list(units)))
        with self.engine.connect() as connection:
            return {(row.unit, row.item): Outcome(row.item, row.body, row.cause) for row in connection.execute(query)}

    # --- trainings ---

    def set_training(self, id: str, name: str, job: str, step: int, total_steps: int) -> None:
        row = {"experiment": id, "name": name, "job": job, "step": step, "total_steps": total_steps}
        with self.engine.begin() as connection:
            insert_new(connection, training, [row])
            where = and_(training.c.experiment == id, training.c.name == name)
            connection.execute(update(training).where(where).values(**row))

    def trainings(self, id: str) -> Sequence[Row[Any]]:
        with self.engine.connect() as connection:
            return connection.execute(select(training).where(training.c.experiment == id)).all()
