"""Gold sets: responses with a label from 1 to 5 that people, or whoever counts as gold, gave them."""

import csv
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from plumbline_contracts.common import ItemId, Language, Place, Request, Text
from plumbline_contracts.judge import AspectDefinition
from plumbline_kit.errors import ProblemError
from pydantic import Field, ValidationError

_MOST_TOLD = 20
# The prompts of RECON (mJudge, arXiv 2605.28710): one text per item, from which its parts are taken.
_RECON = {
    "en": (
        "The instruction to evaluate",
        "Response to evaluate",
        "Reference Answer (Score 5)",
        "Score Rubrics",
        "Feedback",
    ),
    "es": (
        "Instrucción a evaluar",
        "Respuesta a evaluar",
        "Respuesta de Referencia (Puntuación 5)",
        "Rúbrica de Puntuación",
        "Feedback",
    ),
}
_LABEL = r"\n(?:Score|Puntuación) ([1-5]):"


class GoldItem(Request):
    """One row of a gold set. Rows of several languages with the same `id` are the same item in those languages."""

    id: ItemId
    language: Language
    instruction: Text = Field(max_length=200_000)
    response: Text = Field(max_length=400_000)
    gold: int = Field(ge=1, le=5)
    reference: Text | None = Field(default=None, max_length=400_000)
    criterion: AspectDefinition | None = Field(default=None, description="What the label of this one item answers.")


def read(paths: Iterable[Path]) -> list[GoldItem]:
    """All rows of CSV and JSONL files. Raises the problem `invalid-gold` with every fault and its line."""
    items, faults, seen = list[GoldItem](), list[Place](), dict[tuple[str, str], str]()
    for path in paths:
        for line, row in _rows(path):
            place = f"{path}:{line}"
            try:
                item = GoldItem.model_validate(_columns(row, line))
            except ValidationError as error:
                faults += [_fault(place, one) for one in error.errors()]
                continue
            if (other := seen.setdefault((item.language, item.id), place)) != place:
                faults.append(Place(place=f"{place} id", message=f"{item.id!r} in {item.language} is at {other} too"))
            items.append(item)
    if faults:
        raise _invalid(faults)
    if not items:
        raise ProblemError(422, "invalid-gold", "The gold set has no rows.")
    return items


def with_criteria(items: Iterable[GoldItem]) -> list[GoldItem]:
    """Those that have one: some rows of RECON lost theirs in translation. Raises `invalid-gold` where there is none."""
    if found := [item for item in items if item.criterion is not None]:
        return found
    detail = "No row of the gold set has a criterion of its own; without --criteria the judge's rubric takes its place."
    raise ProblemError(422, "invalid-gold", detail)


def _invalid(faults: list[Place]) -> ProblemError:
    more = f"; the first {_MOST_TOLD} are told" if len(faults) > _MOST_TOLD else ""
    return ProblemError(
        422, "invalid-gold", f"The gold set has {len(faults)} faults{more}.", errors=faults[:_MOST_TOLD]
    )


def _fault(place: str, error: Any) -> Place:
    column = ".".join(map(str, error["loc"]))
    given = "" if error["type"] == "missing" else f" (is {str(error['input'])[:60]!r})"
    return Place(place=f"{place} {column}".rstrip(), message=f"{error['msg']}{given}")


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Line number and row."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix == ".csv":
                reader = csv.DictReader(file, strict=True)
                yield from ((reader.line_num, row) for row in reader)
            else:
                yield from ((number, _json(path, number, line)) for number, line in enumerate(file, 1) if line.strip())
    except UnicodeDecodeError as error:
        raise _invalid([Place(place=str(path), message=f"is not UTF-8 text (byte {error.start})")]) from error
    except csv.Error as error:
        raise _invalid([Place(place=f"{path}:{reader.line_num}", message=f"is not CSV: {error}")]) from error


def _json(path: Path, number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        message = f"is not JSON: {error.msg} (column {error.colno})"
        raise _invalid([Place(place=f"{path}:{number}", message=message)]) from error


def _columns(row: Any, line: int) -> Any:
    """The columns of a gold item; others are left out. A row without an id is called by its line."""
    if not isinstance(row, dict):
        return row
    if set(row) >= {"inputs", "gold"}:
        return {"id": str(line), "gold": row["gold"], **_recon(str(row["inputs"]))}
    known = {name: value for name, value in row.items() if name in GoldItem.model_fields and value not in (None, "")}
    known |= {"response": row["response"]} if row.get("response") == "" else {}  # an empty response is one
    return known | {"id": str(known.get("id", line))}


def _recon(prompt: str) -> dict[str, Any]:
    for language, heads in _RECON.items():
        parts = re.search("(.*?)".join(f"###{re.escape(head)}:" for head in heads), prompt, re.DOTALL)
        if parts:
            instruction, response, reference, criterion = (part.strip() for part in parts.groups())
            texts = {"instruction": instruction, "response": response, "reference": reference}
            return {"language": language, **texts, "criterion": _criterion(criterion)}
    return {}


def _criterion(text: str) -> dict[str, Any] | None:
    """`[question]`, and below it a line `Score N: ...` for each label; None where the question, or 1 or 5, is empty."""
    question, *labels = re.split(_LABEL, text)
    scale = {label: said.strip() for label, said in zip(labels[::2], labels[1::2], strict=True) if said.strip()}
    asks = question.strip().removeprefix("[").removesuffix("]")
    return {"name": "criterion", "asks": asks, "scale": scale} if asks and {"1", "5"} <= scale.keys() else None
