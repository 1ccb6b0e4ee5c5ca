"""Precision and recall of every detector on the labelled cases, with Wilson intervals."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from plumbline_analyzer import detectors
from plumbline_analyzer.detectors.identifier import LanguageIdentifier
from plumbline_analyzer.settings import Settings
from plumbline_analyzer.wording import NONE
from plumbline_contracts.analyzer import Detector, Finding
from scipy.stats import binomtest

from .cases import Case, cases


class Share(NamedTuple):
    part: int
    whole: int

    def __str__(self) -> str:
        if not self.whole:
            return NONE
        interval = binomtest(self.part, self.whole).proportion_ci(method="wilson")
        return f"{self.part / self.whole:.3f} ({interval.low:.3f} to {interval.high:.3f})"


class Counts(NamedTuple):
    """Of one detector on one set of cases."""

    right: int
    false: int
    missed: int
    applicable: Share  # where `not applicable` is right, how often it is said

    @property
    def precision(self) -> Share:
        return Share(self.right, self.right + self.false)

    @property
    def recall(self) -> Share:
        return Share(self.right, self.right + self.missed)


class Answer(NamedTuple):
    case: Case
    findings: dict[Detector, Finding]


def registry() -> dict[Detector, detectors.Detect]:
    return detectors.registry(LanguageIdentifier(Settings.model_fields["languages"].default))


def answers(part: str, language: str, known: dict[Detector, detectors.Detect]) -> list[Answer]:
    made = []
    for case in cases(part, language):
        answer = detectors.detect(case.item, known)
        made.append(Answer(case, {one.detector: one.finding for one in answer.detections}))
    return made


def counts(answers: Iterable[Answer], detector: Detector) -> Counts:
    outcome: Counter[tuple[bool, bool]] = Counter()
    said = Counter[bool]()
    for case, findings in answers:
        outcome[detector in case.found, findings[detector] == Finding.FOUND] += 1
        if detector in case.not_applicable:
            said[findings[detector] == Finding.NOT_APPLICABLE] += 1
    return Counts(outcome[True, True], outcome[False, True], outcome[True, False], Share(said[True], said.total()))
