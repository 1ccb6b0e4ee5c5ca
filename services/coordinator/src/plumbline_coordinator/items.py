"""Which instructions an experiment has in which language, and what is wrong with a data set."""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from plumbline_contracts.common import Artifact, Place
from plumbline_contracts.experiment import ExperimentSpec, InstructionFields
from plumbline_kit.errors import ProblemError

from .rows import Item
from .sources import Row, Sources, storable, text

_MOST_TOLD = 50


class Items:
    """Every item of every language. The data set is read anew each time they are gone through, so that none is held."""

    def __init__(self, spec: ExperimentSpec, files: dict[str, Artifact], sources: Sources) -> None:
        """The problem `unreadable-data` with the place of every fault, or `no-items`."""
        self._spec, self._files, self._sources = spec, files, sources
        self._fields = spec.dataset.fields
        self._sizes = self._checked()
        self._must_be_in_native_sets()
        empty = [language for language in spec.languages if not self._sizes[self._group(language)]]
        if empty:
            shown = spec.dataset.path or spec.dataset.hub
            raise ProblemError(422, "no-items", f"{shown} has no instruction in {', '.join(empty)}.")

    def __iter__(self) -> Iterator[Item]:
        """Row after row, and of each every language that it is asked in."""
        spec, native = self._spec, self._native()
        for group, position, row in self._chosen():
            for language in spec.languages if group is None else [group]:
                yield _item(spec, language, position, row, native.get(language, {}))

    @cached_property
    def counted(self) -> Counter[tuple[str, str, bool]]:
        """How many there are by language, category, and whether they are to be translated."""
        return Counter((one.language, one.category, one.translate) for one in self)

    def _rows(self) -> Iterator[tuple[str, str | None, Row]]:
        """Place, group and row of every row that counts. Rows that say their own language are a group of each."""
        column = self._fields.language
        for place, row in self._sources.rows(self._spec.dataset, self._files):
            group = None if column is None else row.get(column)
            if column is None or group in self._spec.languages:
                yield place, group, row

    def _group(self, language: str) -> str | None:
        return None if self._fields.language is None else language

    def _checked(self) -> Counter[str | None]:
        """How many rows each group has."""
        faults, sizes, seen = list[Place](), Counter[str | None](), set[tuple[str | None, str]]()
        for place, group, row in self._rows():
            id = str(row.get(self._fields.id))
            if (fault := _fault(row, self._fields, known=(group, id) in seen)) is not None:
                faults.append(Place(place=place, message=fault))
            seen.add((group, id))
            sizes[group] += 1
        _must_be_none(faults)
        return sizes

    def _chosen(self) -> Iterator[tuple[str | None, int, Row]]:
        """Group, position in it, and row, of a sample that is spread over each group."""
        limit = self._spec.dataset.limit
        wanted = {group: enumerate(spread(size, limit)) for group, size in self._sizes.items()}
        following = {group: next(places) for group, places in wanted.items()}
        numbers = Counter[str | None]()
        for _, group, row in self._rows():
            position, number = following[group]
            if numbers[group] == number:
                yield group, position, row
                following[group] = next(wanted[group], (-1, -1))
            numbers[group] += 1

    def _native(self) -> dict[str, dict[str, Row]]:
        """By language and id; where rows say their own language there is none."""
        if self._fields.language is not None:
            return {}
        return {
            language: _by_id(self._sources.rows(source, self._files), self._fields)
            for language, source in self._spec.dataset.native.items()
        }

    def _must_be_in_native_sets(self) -> None:
        native = self._native()
        ids = [str(row[self._fields.id]) for _, _, row in self._chosen()] if native else []
        faults = [
            Place(place=f"dataset.native.{language}", message=f"has no row with the id {id!r}")
            for language, by_id in native.items()
            for id in ids
            if id not in by_id
        ]
        if faults:
            raise ProblemError(422, "unreadable-data", "A native set lacks items.", errors=faults[:_MOST_TOLD])


def spread(size: int, limit: int | None) -> Iterable[int]:
    """`limit` of so many places, at even distances, so that a sample has every part of an ordered file."""
    if limit is None or limit >= size:
        return range(size)
    return (index * size // limit for index in range(limit))


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


def _fault(row: Row, fields: InstructionFields, *, known: bool) -> str | None:
    """What is wrong with a row; `known`: there was one with its id before."""
    id: Any = row.get(fields.id)
    if not isinstance(id, str | int) or isinstance(id, bool) or not 0 < len(str(id)) <= 200:
        return f"{fields.id!r} must be a short text or number, is {id!r}"
    if not storable(str(id)) or not storable(str(row.get(fields.category))):
        return "a NUL or half a surrogate pair cannot be stored"
    if known:
        return f"{fields.id!r} {id!r} was given before"
    if len(str(row.get(fields.category) or "")) > 100:
        return f"{fields.category!r} is longer than 100 characters"
    if text(row.get(fields.instruction)) is None:
        return f"{fields.instruction!r} must be a text that is not empty"
    return None


def _by_id(rows: Iterable[tuple[str, Row]], fields: InstructionFields) -> dict[str, Row]:
    faults, found = list[Place](), dict[str, Row]()
    for place, row in rows:
        id = str(row.get(fields.id))
        if (fault := _fault(row, fields, known=id in found)) is not None:
            faults.append(Place(place=place, message=fault))
        found[id] = row
    _must_be_none(faults)
    return found


def _must_be_none(faults: list[Place]) -> None:
    if faults:
        detail = f"{len(faults)} bad row(s) in the data set."
        raise ProblemError(422, "unreadable-data", detail, errors=faults[:_MOST_TOLD])
