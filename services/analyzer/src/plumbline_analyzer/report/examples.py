"""Example responses for the report, with what was detected marked: per error class, and the same items for all arms."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from plumbline_contracts.analyzer import Detection, Detector, Finding, Observation

from ..table import Table

_PER_LANGUAGE = 2  # of an error class
_ITEMS, _RESPONSES = 4, 24  # side by side, per language, at most
_LONGEST_PART = 900  # characters of a part of a response that are shown
# Nearly every short run is cut at its token limit; marking that would bury the rest. A refusal may be what one wants.
_UNMARKED = (Detector.EMPTY, Detector.TRUNCATED, Detector.REFUSAL)
_FOUND = list(Finding).index(Finding.FOUND)


class Part(NamedTuple):
    """A stretch of a response. `left_out` characters between `text` and `tail` are not shown."""

    text: str
    left_out: int
    tail: str
    detectors: tuple[Detector, ...]


class Example(NamedTuple):
    arm: str
    observation: Observation | None
    found: list[Detection]
    parts: list[Part]


class ExampleItem(NamedTuple):
    item: str
    category: str
    instruction: str
    errors: int
    responses: list[Example]


class Examples(NamedTuple):
    """`errors`: those of one class, with its detections alone marked. `items`: by language."""

    errors: dict[Detector, list[Example]]
    items: dict[str, list[ExampleItem]]


def select(table: Table) -> Examples:
    """Texts are read again from the data, once for all examples."""
    errors = {
        detector: _with_error(table, place) for place, detector in enumerate(Detector) if detector not in _UNMARKED
    }
    items = {language: _telling(table, place) for place, language in enumerate(table.languages)}
    wanted = {number for numbers in errors.values() for number in numbers}
    for place, chosen in enumerate(items.values()):
        wanted |= {int(number) for item in chosen for number in table.numbers[place, :, item] if number >= 0}
    texts = table.rows.again(wanted)
    return Examples(
        {
            detector: [_example(texts[number].arm, texts[number], [detector]) for number in numbers]
            for detector, numbers in errors.items()
            if numbers
        },
        {
            language: [_example_item(table, place, item, texts) for item in items[language]]
            for place, language in enumerate(table.languages)
        },
    )


def _with_error(table: Table, detector: int) -> list[int]:
    """Row numbers, evenly spread over the findings of every language."""
    chosen: list[int] = []
    for numbers, finding in zip(table.numbers, table.findings[detector], strict=True):
        found = numbers[finding == _FOUND]
        chosen += found[np.linspace(0, len(found) - 1, min(len(found), _PER_LANGUAGE)).astype(int)].tolist()
    return chosen


def _telling(table: Table, language: int) -> list[int]:
    """Half of them the items with the most detections, half spread evenly over the rest."""
    most = max(1, min(_ITEMS, _RESPONSES // len(table.arms)))
    items, counts = table.items_of(language), _counts(table, language)
    chosen = sorted((item for item in items if counts[item]), key=lambda item: -counts[item])[: most // 2]
    rest = [item for item in items if item not in chosen]
    wanted = min(len(rest), most - len(chosen))
    return chosen + [rest[i * len(rest) // wanted] for i in range(wanted)]


def _counts(table: Table, language: int) -> list[int]:
    marked = [place for place, detector in enumerate(Detector) if detector not in _UNMARKED]
    counts: list[int] = (table.findings[marked, language] == _FOUND).sum((0, 1)).tolist()
    return counts


def _example_item(table: Table, language: int, item: int, texts: dict[int, Observation]) -> ExampleItem:
    cells = {
        arm: texts.get(int(number)) for arm, number in zip(table.arms, table.numbers[language, :, item], strict=True)
    }
    first = next(cell for cell in cells.values() if cell)
    category = table.categories[table.category[language, item]]
    responses = [_example(arm, cell, [d for d in Detector if d not in _UNMARKED]) for arm, cell in cells.items()]
    return ExampleItem(table.items[item], category, first.instruction, _counts(table, language)[item], responses)


def _example(arm: str, observation: Observation | None, marked: Sequence[Detector]) -> Example:
    if observation is None or observation.response is None:
        return Example(arm, observation, [], [])
    found = [detection for detection in observation.detections if detection.finding == Finding.FOUND]
    return Example(arm, observation, found, parts(observation.response, [d for d in found if d.detector in marked]))


def parts(text: str, found: Iterable[Detection]) -> list[Part]:
    """The whole text in order, cut where a detection begins or ends."""
    spans = [
        (max(0, d.start), min(len(text), d.end), d.detector) for d in found if d.start is not None and d.end is not None
    ]
    cuts = sorted({0, len(text), *(place for start, end, _ in spans if start < end for place in (start, end))})
    return [
        _part(text[start:end], tuple(detector for first, last, detector in spans if first <= start and end <= last))
        for start, end in pairwise(cuts)
    ]


def _part(text: str, detectors: tuple[Detector, ...]) -> Part:
    if len(text) <= _LONGEST_PART:
        return Part(text, 0, "", detectors)
    half = _LONGEST_PART // 2
    return Part(text[:half], len(text) - 2 * half, text[-half:], detectors)
