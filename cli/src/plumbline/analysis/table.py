"""A CSV with a response a row: the form of `plumbline export --format csv`, of which most columns may be left out."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from plumbline_contracts.analyzer import Detection, Detector, Finding, Observation, ScoreObservation
from pydantic import ValidationError

from .given import Source, refuse

_NEEDED = "columns `item`, `response`, and `score:ASPECT` or `score:JUDGE:ASPECT`; also `arm`, `language`, `category`"


def read(source: Source) -> Iterator[Observation]:
    csv.field_size_limit(sys.maxsize)
    with source.path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        if "item" not in columns or not any(
            name.startswith(("score:", "found:")) or name == "response" for name in columns
        ):
            raise refuse(source.path, "line 1", f"the columns are {', '.join(columns) or 'none'}; needed are {_NEEDED}")
        for row in reader:
            yield _observation(
                source, f"line {reader.line_num}", {name: value or "" for name, value in row.items() if name}
            )


def _observation(source: Source, place: str, row: dict[str, str]) -> Observation:
    response = row.get("raw_response") or row.get("response")
    cause = row.get("missing") or None
    try:
        return Observation(
            item=row["item"],
            arm=row.get("arm") or source.name,
            language=row.get("language") or source.language,
            category=row.get("category") or "regular",
            instruction=row.get("instruction", ""),
            response=None if cause else response or "",
            missing=cause,
            finish_reason=row.get("finish_reason") or None,
            flags=[flag for flag in row.get("flags", "").split(";") if flag],
            detections=list(_detections(source.path, place, row)),
            scores=list(_scores(source.path, place, row)),
        )
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        raise refuse(source.path, f"{place} {where}", fault["msg"]) from error


def _scores(path: Path, place: str, row: dict[str, str]) -> Iterator[ScoreObservation]:
    for name, value in row.items():
        kind, _, rest = name.partition(":")
        if kind == "score" and rest:
            judge, _, aspect = rest.rpartition(":")
            missing = row.get(f"missing:{rest}") or (None if value else "no score in the file")
            score = None if missing else _number(path, f"{place} {name}", value)
            yield ScoreObservation(judge=judge or "judge", rubric="file", aspect=aspect, score=score, missing=missing)


def _number(path: Path, place: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError as error:
        raise refuse(path, place, f"{value!r} is no number") from error
    if not 1 <= number <= 5:
        raise refuse(path, place, f"a score of {value}; 1 to 5 is needed")
    return number


def _detections(path: Path, place: str, row: dict[str, str]) -> Iterator[Detection]:
    for name, value in row.items():
        kind, _, detector = name.partition(":")
        if kind == "found" and value:
            if detector not in list(Detector) or value not in list(Finding):
                known = f"{', '.join(Detector)} with {', '.join(Finding)}"
                raise refuse(path, f"{place} {name}", f"{value!r} is not known; there are {known}")
            yield Detection(
                detector=Detector(detector), finding=Finding(value), evidence=None, start=None, end=None,
                kind=None, severity=None, repetition=None,
            )  # fmt: skip
