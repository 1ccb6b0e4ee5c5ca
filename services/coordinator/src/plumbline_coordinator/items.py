"""Which instructions an experiment has in which language, and what is wrong with a data set."""

from collections.abc import Iterable
from typing import Any

from plumbline_contracts.common import Artifact, Place
from plumbline_contracts.experiment import ExperimentSpec, InstructionFields
from plumbline_kit.errors import ProblemError

from .rows import Item
from .sources import Row, Sources, storable, text


def read_items(spec: ExperimentSpec, files: dict[str, Artifact], sources: Sources) -> list[Item]:
    """Every item of every language, or the problem `unreadable-data` with the place of every fault."""
    rows = list(sources.rows(spec.dataset, files))
    if spec.dataset.fields.language is not None:
        items = _native_rows(spec, rows)
    else:
        native = {
            language: _by_id(sources.rows(source, files), spec.dataset.fields)
            for language, source in spec.dataset.native.items()
        }
        items = _shared_rows(spec, rows, native)
    empty = [language for language in spec.languages if not any(one.language == language for one in items)]
    if empty:
        shown = spec.dataset.path or spec.dataset.hub
        raise ProblemError(422, "no-items", f"{shown} has no instruction in {', '.join(empty)}.")
    return items


def _native_rows(spec: ExperimentSpec, rows: list[tuple[str, Row]]) -> list[Item]:
    """Rows say their own language; nothing is translated."""
    column = spec.dataset.fields.language
    items: list[Item] = []
    for language in spec.languages:
        mine = [(place, row) for place, row in rows if row.get(str(column)) == language]
        chosen = spread(_valid(mine, spec.dataset.fields), spec.dataset.limit)
        items += [_item(spec, language, position, row, {}) for position, row in enumerate(chosen)]
    return items


def _shared_rows(spec: ExperimentSpec, rows: list[tuple[str, Row]], native: dict[str, dict[str, Row]]) -> list[Item]:
    """The same rows in every language: as they are, from a native set by id, or to be translated."""
    chosen = spread(_valid(rows, spec.dataset.fields), spec.dataset.limit)
    ids = [str(row[spec.dataset.fields.id]) for row in chosen]
    faults = [
        Place(place=f"dataset.native.{language}", message=f"has no row with the id {id!r}")
        for language, by_id in native.items()
        for id in ids
        if id not in by_id
    ]
    if faults:
        raise ProblemError(422, "unreadable-data", "A native set lacks items.", errors=faults[:50])
    return [
        _item(spec, language, position, row, native.get(language, {}))
        for language in spec.languages
        for position, row in enumerate(chosen)
    ]


def _item(spec: ExperimentSpec, language: str, position: int, row: Row, native: dict[str, Row]) -> Item:
    fields = spec.dataset.fields
    id = str(row[fields.id])
    own = native.get(id, row)
    is_own = fields.language is not None or language == spec.dataset.language or language in spec.dataset.native
    references = own.get(fields.references)
    reference = text(references.get(language)) if isinstance(references, dict) else None
    tasks = row.get(fields.task)
    return Item(
        language=language,
        item=id,
        position=position,
        category=str(row.get(fields.category) or "regular"),
        tasks=[str(task) for task in tasks] if isinstance(tasks, list) else [],
        source=str(text(own[fields.instruction])),
        translate=not is_own,
        reference=reference or (text(own.get(fields.reference)) if is_own else None),
    )


def _valid(rows: Iterable[tuple[str, Row]], fields: InstructionFields) -> list[Row]:
    faults, seen, valid = [], set[str](), []
    for place, row in rows:
        id: Any = row.get(fields.id)
        if not isinstance(id, str | int) or isinstance(id, bool) or not 0 < len(str(id)) <= 200:
            faults.append(Place(place=place, message=f"{fields.id!r} must be a short text or number, is {id!r}"))
        elif not storable(str(id)) or not storable(str(row.get(fields.category))):
            faults.append(Place(place=place, message="a NUL or half a surrogate pair cannot be stored"))
        elif str(id) in seen:
            faults.append(Place(place=place, message=f"{fields.id!r} {id!r} was given before"))
        elif len(str(row.get(fields.category) or "")) > 100:
            faults.append(Place(place=place, message=f"{fields.category!r} is longer than 100 characters"))
        elif text(row.get(fields.instruction)) is None:
            faults.append(Place(place=place, message=f"{fields.instruction!r} must be a text that is not empty"))
        else:
            valid.append(row)
        seen.add(str(id))
    if faults:
        raise ProblemError(422, "unreadable-data", f"{len(faults)} bad row(s) in the data set.", errors=faults[:50])
    return valid


def _by_id(rows: Iterable[tuple[str, Row]], fields: InstructionFields) -> dict[str, Row]:
    return {str(row[fields.id]): row for row in _valid(rows, fields)}


def spread(rows: list[Row], limit: int | None) -> list[Row]:
    """`limit` rows at even distances, so that a sample has every part of an ordered file."""
    if limit is None or limit >= len(rows):
        return rows
    return [rows[index * len(rows) // limit] for index in range(limit)]
