"""What a file of results says: observations with their arm, and who judged."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from plumbline_contracts.analyzer import ArmLabel, JudgeLabel, Observation
from plumbline_contracts.common import Place
from plumbline_kit.errors import ProblemError


class Source(NamedTuple):
    """A file as named on the command line: `ARM=FILE` and `ARM@LANGUAGE=FILE` say what the file does not."""

    path: Path
    arm: str | None
    language: str

    @property
    def name(self) -> str:
        """The arm where the file does not say."""
        return self.arm or self.path.name.split(".jsonl")[0].split(".json")[0]


class Collected(NamedTuple):
    observations: list[Observation]
    arms: list[ArmLabel]
    judges: list[JudgeLabel]
    notes: list[str]


def refuse(path: Path, place: str, message: str) -> ProblemError:
    errors = [Place(place=f"{path.name} {place}", message=message)]
    return ProblemError(422, "invalid-file", f"{path} is wrong at {place}: {message}", errors=errors)


def rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, object) of every row of JSON lines, or of one JSON list."""
    text = path.read_bytes()
    try:
        if text.lstrip()[:1] == b"[":
            for number, row in enumerate(json.loads(text)):
                yield f"[{number}]", _object(path, f"[{number}]", row)
            return
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip():
                yield f"line {number}", _object(path, f"line {number}", json.loads(line))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        place = "its start" if text.lstrip()[:1] == b"[" else f"line {number}"
        raise refuse(path, place, f"no JSON: {error}") from error


def _object(path: Path, place: str, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise refuse(path, place, f"a {type(row).__name__}; an object is needed")
    return row


def arm_label(name: str) -> ArmLabel:
    return ArmLabel(name=name, model=name, weights="unknown", prompting="unknown")


def judge_label(name: str, model: str | None, description: str) -> JudgeLabel:
    return JudgeLabel(name=name, implementation="recorded", model=model, description=description)
