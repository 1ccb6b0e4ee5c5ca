"""The rows of an analysis as a stream, whatever they come as, and some of them again when examples are shown."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from plumbline_contracts.analyzer import AnalysisRequest, Observation
from plumbline_contracts.common import Place
from plumbline_kit.artifacts import ArtifactStore
from plumbline_kit.errors import ProblemError
from pydantic import ValidationError

_BATCH = 5000


class Rows(Protocol):
    """`place` names a row by its number, counted from 0, as people find it."""

    place: str
    first: int

    def __iter__(self) -> Iterator[Observation]: ...

    def again(self, numbers: Iterable[int]) -> dict[int, Observation]: ...


def open_rows(request: AnalysisRequest, store: ArtifactStore) -> Rows:
    if request.data is None:
        return Given(request.observations or [])
    path = store.path(request.data)
    if not path.is_file():
        detail = "The data is a folder; a file is needed: JSON lines or Parquet, an Observation a row."
        raise ProblemError(422, "invalid-data", detail)
    with path.open("rb") as file:
        return ParquetRows(path) if file.read(4) == b"PAR1" else Lines(path)


class Given:
    place, first = "body.observations.", 0

    def __init__(self, observations: list[Observation]) -> None:
        self._observations = observations

    def __iter__(self) -> Iterator[Observation]:
        return iter(self._observations)

    def again(self, numbers: Iterable[int]) -> dict[int, Observation]:
        return {number: self._observations[number] for number in numbers}


class Lines:
    """JSON lines. Where each line begins is kept, its text is not."""

    place, first = "line ", 1

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starts: list[int] = []

    def __iter__(self) -> Iterator[Observation]:
        self._starts, start = [], 0
        with self._path.open("rb") as file:
            for number, line in enumerate(file, 1):
                self._starts.append(start)
                start += len(line)
                try:
                    yield Observation.model_validate_json(line)
                except ValidationError as error:
                    raise _refused(error, f"line {number}") from error

    def again(self, numbers: Iterable[int]) -> dict[int, Observation]:
        found = {}
        with self._path.open("rb") as file:
            for number in sorted(numbers):
                file.seek(self._starts[number])
                found[number] = Observation.model_validate_json(file.readline())
        return found


class ParquetRows:
    """Columns named as the fields of an Observation; a column that is not there has its default."""

    place, first = "row ", 1

    def __init__(self, path: Path) -> None:
        try:
            self._file = pq.ParquetFile(path)
        except pa.ArrowException as error:
            raise ProblemError(422, "invalid-data", f"The data is no readable Parquet file: {error}") from error

    def __iter__(self) -> Iterator[Observation]:
        for number, row in enumerate(self._raw(), 1):
            try:
                yield Observation.model_validate(_without_nulls(row))
            except ValidationError as error:
                raise _refused(error, f"row {number}") from error

    def _raw(self) -> Iterator[dict[str, object]]:
        for batch in self._file.iter_batches(_BATCH):
            yield from batch.to_pylist()

    def again(self, numbers: Iterable[int]) -> dict[int, Observation]:
        wanted = set(numbers)
        return {
            number: Observation.model_validate(_without_nulls(row))
            for number, row in enumerate(self._raw())
            if number in wanted
        }


def _without_nulls(row: dict[str, object]) -> dict[str, object]:
    """Parquet cannot leave a field out; a null is an absent one where the field itself cannot be null."""
    never_null = ("flags", "audited", "detections", "detections_if_ended", "scores", "category")
    return {name: value for name, value in row.items() if value is not None or name not in never_null}


def _refused(error: ValidationError, row: str) -> ProblemError:
    fault = error.errors()[0]
    place = ".".join([row, *map(str, fault["loc"])])
    message = f"no Observation: {fault['msg']}"
    detail = f"The data is wrong at {place}: {message}"
    return ProblemError(422, "invalid-observations", detail, errors=[Place(place=place, message=message)])
