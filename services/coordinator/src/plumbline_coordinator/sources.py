"""Rows of data sets: JSONL and Parquet, uploaded files or hub folders, with the line of every fault."""

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb
from plumbline_contracts.common import Artifact, Place
from plumbline_contracts.experiment import DataSource
from plumbline_kit import hub
from plumbline_kit.artifacts import ArtifactStore, digest
from plumbline_kit.errors import ProblemError

Row = dict[str, Any]
_ROWS = 1000  # of Parquet at a time
_SUFFIXES = (".jsonl", ".parquet")


class Sources:
    """Finds and reads what an experiment's data sources name."""

    def __init__(self, artifacts: ArtifactStore, datasets_dir: Path, *, download: bool) -> None:
        self.artifacts, self.datasets_dir, self.download = artifacts, datasets_dir, download

    def file(self, source: DataSource, files: dict[str, Artifact]) -> Path:
        """The file behind a source, or a problem that says what is missing."""
        if source.path is not None:
            return self.uploaded(source.path, files)
        assert source.hub is not None
        reference = source.hub + (f"@{source.revision}" if source.revision else "")
        return _only_file(hub.locate(reference, self.datasets_dir, "dataset", download=self.download), source.file)

    def uploaded(self, path: str, files: dict[str, Artifact]) -> Path:
        if path not in files:
            raise ProblemError(422, "missing-file", f"The file {path!r} was not uploaded with the experiment.")
        return self.artifacts.path(files[path])

    def sha256(self, source: DataSource, files: dict[str, Artifact]) -> str:
        return digest(self.file(source, files))[0]

    def rows(self, source: DataSource, files: dict[str, Artifact]) -> Iterator[tuple[str, Row]]:
        """(place, row) of every row; the place is `file:line`. Raises `unreadable-data` with the bad lines."""
        path, shown = self.file(source, files), source.path or f"{source.hub}"
        named = source.path or path.name
        if Path(named).suffix == ".parquet":
            yield from _parquet(path, shown)
        else:
            yield from _jsonl(path, shown)


def _only_file(folder: Path, name: str | None) -> Path:
    found = sorted(file for file in folder.rglob("*") if file.suffix in _SUFFIXES)
    chosen = [file for file in found if name is None or file.relative_to(folder).as_posix() == name]
    if len(chosen) == 1:
        return chosen[0]
    have = ", ".join(file.relative_to(folder).as_posix() for file in found) or "no JSONL or Parquet file"
    wanted = f"no file {name!r}" if name else "more than one data file or none; say which with `file:`"
    raise ProblemError(422, "unknown-file", f"{folder.name} has {wanted}; it has {have}.")


def _jsonl(path: Path, shown: str) -> Iterator[tuple[str, Row]]:
    faults: list[Place] = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            place = f"{shown}:{number}"
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8"))
            except ValueError as error:
                faults.append(Place(place=place, message=f"is not JSON: {error}"))
                continue
            if isinstance(row, dict):
                yield place, row
            else:
                faults.append(Place(place=place, message="is not a JSON object"))
    if faults:
        raise ProblemError(422, "unreadable-data", f"{shown}: {len(faults)} bad line(s).", errors=faults[:50])


def _parquet(path: Path, shown: str) -> Iterator[tuple[str, Row]]:
    try:
        with duckdb.connect() as connection:
            cursor = connection.execute("select * from read_parquet(?)", [str(path)])
            names = [column[0] for column in cursor.description or []]
            rows = chain.from_iterable(iter(lambda: cursor.fetchmany(_ROWS), []))
            for number, values in enumerate(rows, 1):
                yield f"{shown} row {number}", dict(zip(names, values, strict=True))
    except duckdb.Error as error:
        raise ProblemError(422, "unreadable-data", f"{shown} is not a Parquet file: {error}") from error


def text(value: Any) -> str | None:
    """A text, also where a hub data set keeps it as the last of a list of chat messages; null when there is none."""
    if isinstance(value, list) and value and isinstance(value[-1], dict):
        value = value[-1].get("content")
    return value if isinstance(value, str) and value.strip() and storable(value) else None


def storable(value: str) -> bool:
    """A NUL cannot be stored in PostgreSQL, half a surrogate pair not even be sent."""
    return "\x00" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
