"""Everything observed as arrays: languages x arms x items. Texts stay where they are."""

from array import array
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from plumbline_contracts.analyzer import AnalysisRequest, Detector, Finding, Observation

from .early_stops import EarlyStops
from .rows import Rows

NOT_OBSERVED, NOT_SCORED, NOT_DETECTED, UNKNOWN_CAUSE = "not_observed", "not_scored", "not_detected", "unknown"
NOT_APPLICABLE = "not_applicable"
UNDECIDED = "undecided"
HIGHEST, LOWEST = 5.0, 1.0
_DETECTORS, _FINDINGS = list(Detector), list(Finding)
Floats = NDArray[np.float64]
Codes = NDArray[np.int16]


class Measure(NamedTuple):
    """One quantity of every response. `judge` is null for a detector, whose values are 1 (found) and 0 (absent).

    `values` is languages x arms x items, nan where there is none; `causes` says why, as a place in `Table.causes`;
    `expected` (languages x items) are the items that it is wanted of.
    """

    judge: str | None
    name: str
    values: Floats
    causes: Codes
    expected: NDArray[np.bool_]
    lowest: float
    highest: float


class Table:
    def __init__(self, request: AnalysisRequest, rows: Rows, items: list[str], numbers: NDArray[np.int64]) -> None:
        self.request, self.rows, self.items = request, rows, items
        self.early = EarlyStops()
        self.arms, self.languages = [arm.name for arm in request.arms], list(request.languages)
        self.numbers = numbers  # of the row, languages x arms x items; -1: not observed
        # Arms share their items: one that any arm has in a language is expected of all of them there.
        self.expected: NDArray[np.bool_] = np.asarray((numbers >= 0).any(1))
        shape = numbers.shape
        self.causes: list[str] = []
        self.response_cause: Codes = np.full(shape, -1, np.int16)  # -1: there is a response
        self.category: NDArray[np.int16] = np.full((shape[0], shape[2]), -1, np.int16)
        self.categories: list[str] = []
        self.length: Floats = np.full(shape, np.nan)  # characters
        self.flagged: NDArray[np.bool_] = np.zeros((shape[0], shape[2]), bool)
        self.findings: NDArray[np.int8] = np.full((len(_DETECTORS), *shape), -1, np.int8)  # place in Finding
        self.aspects: dict[str, dict[str, Measure]] = {judge.name: {} for judge in request.judges}

    def items_of(self, language: int) -> list[int]:
        return np.flatnonzero(self.expected[language]).tolist()

    def detector(self, detector: Detector) -> Measure:
        """Items that it does not apply to, for whatever arm, are not expected of it."""
        finding = self.findings[_DETECTORS.index(detector)]
        values = np.full(finding.shape, np.nan)
        values[finding == _FINDINGS.index(Finding.FOUND)] = 1
        values[finding == _FINDINGS.index(Finding.ABSENT)] = 0
        causes = np.where(self.response_cause >= 0, self.response_cause, self.cause(NOT_DETECTED)).astype(np.int16)
        for which in (Finding.UNDECIDED, Finding.NOT_APPLICABLE):
            causes[finding == _FINDINGS.index(which)] = self.cause(which.value)
        return Measure(None, detector.value, values, causes, self.expected, 0.0, 1.0)

    def cause(self, text: str) -> int:
        if text not in self.causes:
            self.causes.append(text)
        return self.causes.index(text)


class Columns:
    """Grows row by row in compact arrays, and becomes a table at the end."""

    def __init__(self, request: AnalysisRequest) -> None:
        self._request, self._early = request, EarlyStops()
        self._arms = {arm.name: place for place, arm in enumerate(request.arms)}
        self._languages = {language: place for place, language in enumerate(request.languages)}
        self._items: dict[str, int] = {}
        self._categories: dict[str, int] = {}
        self._causes: dict[str, int] = {}
        self._scored: dict[tuple[str, str], int] = {}
        # language, arm, item, category, cause of no response, characters, flagged
        self._rows = array("q")
        # row, judge and aspect, place among the row's scores, cause
        self._score_places, self._score_values = array("q"), array("d")
        self._found = array("b")
        self._places = {detector: place for place, detector in enumerate(_DETECTORS)}
        self._codes = {finding: code for code, finding in enumerate(_FINDINGS)}

    def add(self, one: Observation) -> None:
        self._early.add(one)
        row = len(self._rows) // 7
        lost = -1 if one.response is not None else self._cause(one.missing)
        self._rows.extend(
            (
                self._languages[one.language],
                self._arms[one.arm],
                self._items.setdefault(one.item, len(self._items)),
                self._categories.setdefault(one.category, len(self._categories)),
                lost,
                -1 if one.response is None else len(one.response),
                bool(one.flags),
            )
        )
        findings = [-1] * len(_DETECTORS)
        for detection in one.detections if lost < 0 else ():
            findings[self._places[detection.detector]] = self._codes[detection.finding]
        self._found.extend(findings)
        for place, score in enumerate(one.scores):
            kind = self._scored.setdefault((score.judge, score.aspect), len(self._scored))
            value = np.nan if score.score is None else score.score
            if self._request.settings.compat and score.score is None and score.missing == NOT_APPLICABLE:
                value = HIGHEST
            self._score_places.extend((row, kind, place, -1 if value == value else self._cause(score.missing)))
            self._score_values.append(value)

    def _cause(self, text: str | None) -> int:
        return self._causes.setdefault(text or UNKNOWN_CAUSE, len(self._causes))

    def table(self, rows: Rows) -> Table:
        items = sorted(self._items)
        order = np.empty(len(items), np.int64)
        order[[self._items[item] for item in items]] = np.arange(len(items))
        columns = np.frombuffer(self._rows, np.int64).reshape(-1, 7)
        language, arm, item = columns[:, 0], columns[:, 1], order[columns[:, 2]]
        cell = (language, arm, item)
        shape = (len(self._languages), len(self._arms), len(items))
        numbers = np.full(shape, -1, np.int64)
        numbers[cell] = np.arange(len(columns))
        table = Table(self._request, rows, items, numbers)
        table.early = self._early
        table.causes, table.categories = list(self._causes), list(self._categories)
        table.response_cause[:] = table.cause(NOT_OBSERVED)
        table.response_cause[cell] = columns[:, 4]
        table.length[cell] = np.where(columns[:, 5] < 0, np.nan, columns[:, 5])
        by_arm = np.argsort(-arm, kind="stable")  # the category that the first arm gives an item stands
        table.category[language[by_arm], item[by_arm]] = columns[by_arm, 3]
        np.logical_or.at(table.flagged, (language, item), columns[:, 6] > 0)
        table.findings[:, *cell] = np.frombuffer(self._found, np.int8).reshape(-1, len(_DETECTORS)).T
        self._fill_scores(table, cell)
        return table

    def _fill_scores(self, table: Table, cell: tuple[NDArray[np.int64], ...]) -> None:
        if not self._scored:
            return
        places = np.frombuffer(self._score_places, np.int64).reshape(-1, 4)
        values = np.frombuffer(self._score_values, np.float64)
        lost = table.response_cause
        unscored = np.where(lost >= 0, lost, table.cause(NOT_SCORED)).astype(np.int16)
        found: list[tuple[int, str, Measure]] = []
        for (judge, aspect), kind in self._scored.items():
            mine = np.flatnonzero(places[:, 1] == kind)
            where = tuple(axis[places[mine, 0]] for axis in cell)
            score, cause = np.full(lost.shape, np.nan), unscored.copy()
            score[where], cause[where] = values[mine], places[mine, 3]
            score[lost >= 0], cause[lost >= 0] = np.nan, lost[lost >= 0]  # a score under a lost response does not count
            wanted = np.zeros(len(table.categories), bool)
            wanted[table.category[where[0], where[2]]] = True
            expected = table.expected & wanted[table.category]
            first = np.ravel_multi_index((where[0], where[2], where[1]), np.array(lost.shape)[[0, 2, 1]]) * 1000
            measure = Measure(judge, aspect, score, cause, expected, LOWEST, HIGHEST)
            found.append((int((first + places[mine, 2]).min()), judge, measure))
        for _, judge, measure in sorted(found, key=lambda one: one[0]):
            table.aspects[judge][measure.name] = measure
