"""What is read from the coordinator's tables, and what people change. Synchronous: call it from threads."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from plumbline_contracts.common import Artifact
from plumbline_contracts.coordinator import ExperimentQuery, ExperimentState, PhaseName, PhaseState, Usage
from plumbline_contracts.experiment import ExperimentSpec
from plumbline_kit.errors import ProblemError
from sqlalchemy import ColumnElement, Row, Select, and_, exists, func, or_, select, text, update

from . import accounting
from .attempt import Attempt
from .database import insert_new
from .resolved import resolved
from .rows import Chunk, Item, Outcome, Recorded
from .tables import chunk, experiment, flow, item, phase, result, training
from .transactions import GOING_ON, now
from .transitions import Transitions

_AT_ONCE = 1000


class Store(Transitions):
    def attempt(self, id: str, number: int | None = None) -> Attempt:
        """The writing side of one attempt, by default the newest."""
        return Attempt(self.engine, id, self.get(id).attempt if number is None else number)

    # --- experiments ---

    def create(
        self,
        id: str,
        spec: ExperimentSpec,
        text: str,
        source: str,
        files: dict[str, Artifact],
        sha256: str,
        recorded: Recorded | None = None,
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
            "attempt": 1,
            "limits": spec.limits.model_dump(),
            "created": now(),
            "only": recorded and recorded.only,
            "recorded_in": recorded and recorded.source,
            "since": now(),
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

    def experiments(self, query: ExperimentQuery, after: tuple[datetime, str] | None, limit: int) -> Sequence[Row[Any]]:
        """Those that fit a query and come after (created, id), newest first."""
        created, id = experiment.c.created, experiment.c.id
        fits: list[ColumnElement[bool]] = [] if not query.state else [experiment.c.state.in_(query.state)]
        if query.name is not None:
            fits.append(experiment.c.name.icontains(query.name, autoescape=True))
        if query.created_from is not None:
            fits.append(created >= query.created_from.astimezone(UTC))
        if query.created_before is not None:
            fits.append(created < query.created_before.astimezone(UTC))
        if after is not None:
            fits.append(or_(created < after[0], and_(created == after[0], id < after[1])))
        with self._read() as connection:
            some = select(experiment).where(*fits).order_by(created.desc(), id.desc()).limit(limit)
            return connection.execute(some).all()

    def newest_first(self) -> Sequence[str]:
        with self._read() as connection:
            return connection.scalars(select(experiment.c.id).order_by(experiment.c.created.desc())).all()

    def completed(self, limit: int) -> Sequence[Row[Any]]:
        """Newest first."""
        done = select(experiment).where(experiment.c.state == ExperimentState.COMPLETED)
        with self._read() as connection:
            return connection.execute(done.order_by(experiment.c.finished.desc()).limit(limit)).all()

    def going_on(self) -> dict[str, int]:
        """Experiment -> its attempt."""
        query = select(experiment.c.id, experiment.c.attempt).where(experiment.c.state.in_(GOING_ON))
        with self._read() as connection:
            return {key: value for key, value in connection.execute(query)}

    def spec(self, id: str) -> ExperimentSpec:
        return resolved(self.get(id).resolved)

    def files(self, id: str) -> dict[str, Artifact]:
        return {path: Artifact(**artifact) for path, artifact in self.get(id).files.items()}

    def paused(self) -> Sequence[Row[Any]]:
        with self._read() as connection:
            return connection.execute(select(experiment).where(experiment.c.state == ExperimentState.PAUSED)).all()

    # --- phases and trainings ---

    def phases(self, id: str) -> dict[str, Row[Any]]:
        with self._read() as connection:
            return {row.name: row for row in connection.execute(select(phase).where(phase.c.experiment == id))}

    def forget_messages(self) -> None:
        """Those of a process that has ended would stay; a living one tells again what it waits for."""
        with self._write() as connection:
            connection.execute(update(phase).where(phase.c.message.is_not(None)).values(message=None))

    def flows(self, id: str) -> Sequence[Row[Any]]:
        with self._read() as connection:
            return connection.execute(select(flow).where(flow.c.experiment == id).order_by(flow.c.service)).all()

    def usage(self, id: str) -> list[Usage]:
        with self._read() as connection:
            return accounting.read(connection, id)

    def trainings(self, id: str) -> Sequence[Row[Any]]:
        with self._read() as connection:
            return connection.execute(select(training).where(training.c.experiment == id)).all()

    def tries(self, id: str, name: str) -> int:
        """Jobs of a training that have failed or were cancelled."""
        query = select(training.c.tries).where(training.c.experiment == id, training.c.name == name)
        with self._read() as connection:
            return connection.scalar(query) or 0

    # --- items ---

    def items_per_language(self, id: str) -> dict[str, int]:
        query = select(item.c.language, func.count()).where(item.c.experiment == id).group_by(item.c.language)
        with self._read() as connection:
            return {key: value for key, value in connection.execute(query)}

    def ids(self, id: str, language: str, *, category: str | None = None, foreign: bool = False) -> Iterator[str]:
        """Of the items of a language, in order; those of one category, or those to be translated, where so asked."""
        query = select(item.c.item, item.c.position).where(item.c.experiment == id, item.c.language == language)
        if category is not None:
            query = query.where(item.c.category == category)
        if foreign:
            query = query.where(item.c.translate != 0)
        last = -1
        while True:  # in pieces: no connection is kept, and memory does not grow with the experiment
            some = query.where(item.c.position > last).order_by(item.c.position).limit(_AT_ONCE)
            with self._read() as connection:
                rows = connection.execute(some).all()
            yield from (row.item for row in rows)
            if len(rows) < _AT_ONCE:
                return
            last = rows[-1].position

    def items(self, id: str, language: str, ids: Iterable[str]) -> list[Item]:
        return self._items(id, select(item).where(item.c.language == language, item.c.item.in_(list(ids))))

    def items_at(self, id: str, language: str, start: int, end: int) -> list[Item]:
        """Those at the positions from `start` to before `end`."""
        at = and_(item.c.language == language, item.c.position >= start, item.c.position < end)
        return self._items(id, select(item).where(at))

    def _items(self, id: str, query: Select[Any]) -> list[Item]:
        query = query.where(item.c.experiment == id).order_by(item.c.position)
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

    # --- chunks and results ---

    def chunks(self, id: str, stage: str, after: int, limit: int, *, lacking: bool = False) -> list[Chunk]:
        """The next chunks of a stage, in order; where so asked, those with an item that has no result."""
        query = select(chunk).where(chunk.c.experiment == id, chunk.c.stage == stage, chunk.c.number > after)
        if lacking:
            query = query.where(self._lacks_some())
        with self._read() as connection:
            rows = connection.execute(query.order_by(chunk.c.number).limit(limit)).all()
        return [Chunk(row.number, row.unit, tuple(row.items)) for row in rows]

    def _lacks_some(self) -> ColumnElement[bool]:
        """Each item is looked up by itself: a join, planned by old statistics, compares it with every result (a minute
        for 50,000)."""
        each = func.json_array_elements_text if self.engine.dialect.name == "postgresql" else func.json_each
        one = each(chunk.c["items"]).table_valued("value")
        same = and_(*(result.c[name] == chunk.c[name] for name in ("experiment", "stage", "unit")))
        found = select(result.c.item).where(same, result.c.item == one.c.value).correlate(chunk, one)
        return exists(select(one.c.value).where(found.scalar_subquery().is_(None)).correlate(chunk))

    def renew_statistics(self) -> None:
        """PostgreSQL plans queries by statistics that it renews a minute late: a table that was just filled looks empty
        to it, and counting what is in 10,000 rows took half a minute."""
        if self.engine.dialect.name == "postgresql":
            with self._write() as connection:
                connection.execute(text("analyze item, chunk, result"))

    def planned(self, id: str, stage: str) -> int:
        """How many items the chunks of a stage have."""
        number, total = -1, 0
        while some := self.chunks(id, stage, number, _AT_ONCE):
            number, total = some[-1].number, total + sum(len(one.items) for one in some)
        return total

    def done(self, id: str, stage: str, unit: str, items: Iterable[str]) -> set[str]:
        """Those of the items that have a result."""
        mine = and_(result.c.experiment == id, result.c.stage == stage, result.c.unit == unit)
        with self._read() as connection:
            return set(connection.scalars(select(result.c.item).where(mine, result.c.item.in_(list(items)))))

    def outcomes(self, id: str, stage: str, unit: str, items: Iterable[str]) -> dict[str, Outcome]:
        """What became of these items, as far as something has."""
        mine = and_(result.c.experiment == id, result.c.stage == stage, result.c.unit == unit)
        query = select(result.c.item, result.c.body, result.c.cause).where(mine, result.c.item.in_(list(items)))
        with self._read() as connection:
            return {row.item: Outcome(row.item, row.body, row.cause) for row in connection.execute(query)}

    def answered(self, id: str, keys: Sequence[bytes]) -> dict[bytes, Outcome]:
        """What other experiments have under these keys, from the newest that has it."""
        query = (
            select(result.c.key, result.c.item, result.c.body, result.c.experiment)
            .join(experiment, experiment.c.id == result.c.experiment)
            .where(result.c.key.in_(keys), result.c.experiment != id)
            .order_by(experiment.c.created)
        )
        with self._read() as connection:
            return {row.key: Outcome(row.item, row.body, origin=row.experiment) for row in connection.execute(query)}

    def origins(self, id: str) -> dict[str, dict[str, int]]:
        """Stage -> the experiments from which its results were taken -> how many."""
        query = (
            select(result.c.stage, result.c.origin, func.count())
            .where(result.c.experiment == id, result.c.origin.is_not(None))
            .group_by(result.c.stage, result.c.origin)
        )
        found: dict[str, dict[str, int]] = {}
        with self._read() as connection:
            for stage, origin, count in connection.execute(query):
                found.setdefault(stage, {})[origin] = count
        return found

    def any_body(self, id: str, stage: str, unit: str) -> dict[str, Any] | None:
        """Of a result that is not a failure, for what all of a unit have in common."""
        mine = and_(result.c.experiment == id, result.c.stage == stage, result.c.unit == unit)
        with self._read() as connection:
            body = connection.scalars(select(result.c.body).where(mine, result.c.status == "ok").limit(1)).first()
            return dict(body) if body is not None else None

    def responses(self, id: str, unit: str) -> dict[str, int]:
        """Category -> how many items have a response in an arm/language."""
        language = unit.split("/")[1]
        same = and_(item.c.experiment == id, item.c.language == language, item.c.item == result.c.item)
        mine = and_(result.c.experiment == id, result.c.stage == PhaseName.GENERATE, result.c.unit == unit)
        query = select(item.c.category, func.count()).select_from(result).join(item, same)
        with self._read() as connection:
            query = query.where(mine, result.c.status == "ok").group_by(item.c.category)
            return {key: value for key, value in connection.execute(query)}
