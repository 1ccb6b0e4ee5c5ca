"""Reads the observations of an analysis into a table and refuses what would make its numbers wrong."""

from collections import Counter
from collections.abc import Iterator

from plumbline_contracts.analyzer import AnalysisRequest, Observation
from plumbline_contracts.common import Place
from plumbline_kit.artifacts import ArtifactStore
from plumbline_kit.errors import ProblemError

from .rows import Rows, open_rows
from .table import Columns, Table

_MOST_PLACES = 20


def read(request: AnalysisRequest, store: ArtifactStore) -> Table:
    """The order of the rows changes no number."""
    _refuse(list(_duplicates(request)), "invalid-request", "the request")
    rows = open_rows(request, store)
    reader = _Reader(request, rows)
    columns = Columns(request)
    for number, observation in enumerate(rows):
        if not reader.faults(number, observation):
            columns.add(observation)
    if not reader.seen:
        raise ProblemError(422, "no-observations", "The data has no row; an analysis needs one observation or more.")
    _refuse(reader.found, "invalid-observations", "the observations", reader.count)
    _refuse(list(_pair_faults(request)), "invalid-comparisons", "the comparisons")
    return columns.table(rows)


def _refuse(faults: list[Place], kind: str, what: str, count: int | None = None) -> None:
    if faults:
        detail = f"{count or len(faults)} fault(s) in {what}; the first: {faults[0].place}: {faults[0].message}"
        raise ProblemError(422, kind, detail, errors=faults[:_MOST_PLACES])


def _duplicates(request: AnalysisRequest) -> Iterator[Place]:
    names = {
        "body.arms.{}.name": [arm.name for arm in request.arms],
        "body.judges.{}.name": [judge.name for judge in request.judges],
        "body.languages.{}": request.languages,
    }
    for place, every in names.items():
        for i, name in enumerate(every):
            if name in every[:i]:
                message = f"{name!r} is given twice, first at {place.format(every.index(name))}"
                yield Place(place=place.format(i), message=message)


def _pair_faults(request: AnalysisRequest) -> Iterator[Place]:
    arms, judges = {arm.name for arm in request.arms}, {judge.name for judge in request.judges}
    for i, pair in enumerate(request.comparisons):
        place = f"body.comparisons.{i}"
        for arm in sorted({pair.arm_a, pair.arm_b} - arms):
            yield Place(place=place, message=f"arm {arm!r} is not among the request's arms")
        if pair.arm_a == pair.arm_b:
            yield Place(place=place, message=f"arm {pair.arm_a!r} is compared with itself")
        if pair.language not in request.languages:
            yield Place(place=place, message=f"language {pair.language!r} is not among the request's languages")
        if pair.judge not in judges:
            yield Place(place=place, message=f"judge {pair.judge!r} is not among the request's judges")


class _Reader:
    """Keeps the first faults and counts the others; what it has seen costs one number a row."""

    def __init__(self, request: AnalysisRequest, rows: Rows) -> None:
        self._arms = {arm.name: place for place, arm in enumerate(request.arms)}
        self._languages = {language: place for place, language in enumerate(request.languages)}
        self._judges = {judge.name for judge in request.judges}
        self._rows = rows
        self._items: dict[str, int] = {}
        self.seen: dict[tuple[int, int, int], int] = {}
        self.found: list[Place] = []
        self.count = 0

    def faults(self, number: int, observation: Observation) -> bool:
        messages = list(self._messages(number, observation))
        place = f"{self._rows.place}{number + self._rows.first}"
        self.count += len(messages)
        if len(self.found) < _MOST_PLACES:
            self.found += [Place(place=place, message=message) for message in messages]
        return bool(messages)

    def _messages(self, number: int, observation: Observation) -> Iterator[str]:
        arm, language = self._arms.get(observation.arm), self._languages.get(observation.language)
        if arm is None:
            yield f"arm {observation.arm!r} is not among the request's arms"
        if language is None:
            yield f"language {observation.language!r} is not among the request's languages"
        for judge in sorted({score.judge for score in observation.scores} - self._judges):
            yield f"judge {judge!r} is not among the request's judges"
        yield from _repeated(observation)
        key = (
            -1 if arm is None else arm,
            -1 if language is None else language,
            self._items.setdefault(observation.item, len(self._items)),
        )
        first = self.seen.setdefault(key, number)
        if first != number and arm is not None and language is not None:
            yield (
                f"item {observation.item!r} of arm {observation.arm!r} in {observation.language} is given twice,"
                f" first at {self._rows.place}{first + self._rows.first}"
            )


def _repeated(observation: Observation) -> Iterator[str]:
    scored = [(score.judge, score.aspect) for score in observation.scores]
    detected = [detection.detector.value for detection in observation.detections]
    if len(set(scored)) < len(scored) or len(set(detected)) < len(detected):
        for what, count in [*Counter(scored).items(), *Counter(detected).items()]:
            if count > 1:
                yield f"{' / '.join(what) if isinstance(what, tuple) else what} is given {count} times"
