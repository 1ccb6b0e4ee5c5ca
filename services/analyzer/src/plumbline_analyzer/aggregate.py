"""From observations to means, error rates and paired differences, with every missing value accounted for."""

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from plumbline_contracts.analyzer import (
    AnalysisRequest,
    AspectMean,
    Detector,
    Difference,
    ErrorRate,
    Finding,
    Observation,
)

from .statistics import mean_interval, share_interval

LOWEST, HIGHEST = 1.0, 5.0
NOT_OBSERVED, NOT_SCORED, NOT_DETECTED, UNKNOWN_CAUSE = "not_observed", "not_scored", "not_detected", "unknown"


class Compared(NamedTuple):
    """`changed`: how many of the paired differences are not 0."""

    difference: Difference
    changed: int


class Aggregate:
    """All statistics of one request. `observations` are valid and in a fixed order (see `observations.read`)."""

    def __init__(self, request: AnalysisRequest, observations: list[Observation]) -> None:
        self.request, self.settings = request, request.settings
        self.arms = [arm.name for arm in request.arms]
        self.cells = {(o.arm, o.language, o.item): o for o in observations}
        # Arms share their items: one that any arm has is expected of all, in the category that it has there.
        self.categories: dict[str, dict[str, str]] = {language: {} for language in request.languages}
        for observation in observations:
            self.categories[observation.language].setdefault(observation.item, observation.category)

    @cached_property
    def aspects(self) -> dict[str, dict[str, list[str]]]:
        """Judge -> aspect -> the categories of items that it is scored on, all as they appear in the scores."""
        found: dict[str, dict[str, dict[str, None]]] = {judge.name: {} for judge in self.request.judges}
        for observation in self.cells.values():
            for score in observation.scores:
                category = self.categories[observation.language][observation.item]
                found[score.judge].setdefault(score.aspect, {})[category] = None
        return {
            judge: {aspect: list(categories) for aspect, categories in aspects.items()}
            for judge, aspects in found.items()
        }

    def scores(self, judge: str, arm: str, language: str, aspect: str) -> tuple[dict[str, float], Counter[str]]:
        """Score by item, and the items without one by cause. Items whose category the judge does not score are out."""
        categories = self.aspects[judge][aspect]
        scores: dict[str, float] = {}
        missing: Counter[str] = Counter()
        for item, category in self.categories[language].items():
            if category in categories:
                value = _score(self.cells.get((arm, language, item)), judge, aspect)
                if isinstance(value, str):
                    missing[value] += 1
                else:
                    scores[item] = value
        return scores, missing

    def means(self) -> Iterator[AspectMean]:
        for judge, aspects in self.aspects.items():
            for language in self.request.languages:
                for aspect in aspects:
                    for arm in self.arms:
                        yield self._mean(judge, arm, language, aspect)

    def _mean(self, judge: str, arm: str, language: str, aspect: str) -> AspectMean:
        scores, missing = self.scores(judge, arm, language, aspect)
        values, absent = list(scores.values()), missing.total()
        interval = mean_interval(values, self.settings)
        total, count = sum(values), len(values) + absent
        return AspectMean(
            judge=judge,
            arm=arm,
            language=language,
            aspect=aspect,
            n=len(values),
            mean=total / len(values) if values else None,
            low=interval.low,
            high=interval.high,
            missing=dict(sorted(missing.items())),
            worst=(total + LOWEST * absent) / count if count else None,
            best=(total + HIGHEST * absent) / count if count else None,
        )

    @cached_property
    def baselines(self) -> dict[str, str]:
        """Arm -> what it is compared with: the first arm of its model, or for that one the first arm of all."""
        first_of: dict[str, str] = {}
        baselines = {arm.name: first_of.setdefault(arm.model, arm.name) for arm in self.request.arms}
        first = self.arms[0]
        return {arm: first if arm == baseline else baseline for arm, baseline in baselines.items() if arm != first}

    def differences(self) -> Iterator[Compared]:
        for judge, aspects in self.aspects.items():
            for language in self.request.languages:
                for aspect in aspects:
                    for arm, baseline in self.baselines.items():
                        yield self._difference(judge, language, aspect, arm, baseline)

    def _difference(self, judge: str, language: str, aspect: str, arm: str, baseline: str) -> Compared:
        base, _ = self.scores(judge, baseline, language, aspect)
        scores, _ = self.scores(judge, arm, language, aspect)
        values = [score - base[item] for item, score in scores.items() if item in base]
        interval = mean_interval(values, self.settings)
        difference = Difference(
            judge=judge,
            language=language,
            aspect=aspect,
            arm=arm,
            baseline=baseline,
            n=len(values),
            difference=sum(values) / len(values) if values else None,
            low=interval.low,
            high=interval.high,
        )
        return Compared(difference, sum(value != 0 for value in values))

    def error_rates(self) -> Iterator[ErrorRate]:
        for language in self.request.languages:
            for detector in Detector:
                for arm in self.arms:
                    yield self._error_rate(arm, language, detector)

    def _error_rate(self, arm: str, language: str, detector: Detector) -> ErrorRate:
        answers = [_finding(self.cells.get((arm, language, item)), detector) for item in self.categories[language]]
        findings = Counter(answer for answer in answers if isinstance(answer, Finding))
        missing = Counter(answer for answer in answers if not isinstance(answer, Finding))
        found = findings[Finding.FOUND]
        n = found + findings[Finding.ABSENT]
        interval = share_interval(found, n, self.settings)
        return ErrorRate(
            arm=arm,
            language=language,
            detector=detector,
            n=n,
            found=found,
            rate=found / n if n else None,
            low=interval.low,
            high=interval.high,
            undecided=findings[Finding.UNDECIDED],
            not_applicable=findings[Finding.NOT_APPLICABLE],
            missing=dict(sorted(missing.items())),
        )


def _score(observation: Observation | None, judge: str, aspect: str) -> float | str:
    """The score, or the cause why there is none."""
    if observation is None:
        return NOT_OBSERVED
    if observation.response is None:
        return observation.missing or UNKNOWN_CAUSE
    for score in observation.scores:
        if (score.judge, score.aspect) == (judge, aspect):
            return (score.missing or UNKNOWN_CAUSE) if score.score is None else score.score
    return NOT_SCORED


def _finding(observation: Observation | None, detector: Detector) -> Finding | str:
    """The detector's word, or the cause why there is none. A str that is no Finding."""
    if observation is None:
        return NOT_OBSERVED
    if observation.response is None:
        return observation.missing or UNKNOWN_CAUSE
    return next((d.finding for d in observation.detections if d.detector == detector), NOT_DETECTED)
