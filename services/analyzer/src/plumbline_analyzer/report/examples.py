"""Example responses for the report: the same items for every arm, with what was detected marked in the text."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from plumbline_contracts.analyzer import Detection, Detector, Finding, Observation

from ..aggregate import Aggregate

_ITEMS_PER_LANGUAGE = 6
_LONGEST_PART = 900  # characters of a part of a response that are shown
# Nearly every short run is cut at its token limit; marking that would bury the rest. A refusal may be what one wants.
_MARKED = (
    Detector.INFINITE_LOOP,
    Detector.UNINTENDED_CODE,
    Detector.WRONG_LANGUAGE,
    Detector.PROMPT_LEAKAGE,
    Detector.INSTRUCTION_REPEATED,
)


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


def select(aggregate: Aggregate, language: str) -> list[ExampleItem]:
    """Half of them the items with the most detections, half spread evenly over the rest."""
    items = sorted(aggregate.categories[language])
    counts = {item: _marked_count(aggregate, language, item) for item in items}
    telling = sorted((item for item in items if counts[item]), key=lambda item: -counts[item])
    chosen = telling[: _ITEMS_PER_LANGUAGE // 2]
    rest = [item for item in items if item not in chosen]
    wanted = min(len(rest), _ITEMS_PER_LANGUAGE - len(chosen))
    chosen += [rest[i * len(rest) // wanted] for i in range(wanted)]
    return [_example_item(aggregate, language, item, counts[item]) for item in chosen]


def _marked_count(aggregate: Aggregate, language: str, item: str) -> int:
    cells = (aggregate.cells.get((arm, language, item)) for arm in aggregate.arms)
    return sum(d.detector in _MARKED for cell in cells if cell for d in _found(cell))


def _found(observation: Observation) -> list[Detection]:
    return [detection for detection in observation.detections if detection.finding == Finding.FOUND]


def _example_item(aggregate: Aggregate, language: str, item: str, errors: int) -> ExampleItem:
    cells = {arm: aggregate.cells.get((arm, language, item)) for arm in aggregate.arms}
    instruction = next(cell.instruction for cell in cells.values() if cell)
    responses = [_example(arm, cell) for arm, cell in cells.items()]
    return ExampleItem(item, aggregate.categories[language][item], instruction, errors, responses)


def _example(arm: str, observation: Observation | None) -> Example:
    if observation is None or observation.response is None:
        return Example(arm, observation, [], [])
    found = _found(observation)
    return Example(arm, observation, found, parts(observation.response, found))


def parts(text: str, found: Sequence[Detection]) -> list[Part]:
    """The whole text in order, cut where a detection begins or ends."""
    spans = [
        (max(0, d.start), min(len(text), d.end), d.detector)
        for d in found
        if d.detector in _MARKED and d.start is not None and d.end is not None
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
