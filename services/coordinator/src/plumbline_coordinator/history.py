"""What earlier experiments in this database measured: how fast, how many tokens, how far apart."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import combinations, islice
from statistics import fmean, variance
from typing import Any

from plumbline_contracts.analyzer import Detector, Finding
from plumbline_contracts.coordinator import PhaseName, PhaseState, ResponseRecord
from plumbline_contracts.experiment import Arm, ExperimentSpec
from sqlalchemy import Row

from .records import records
from .resolved import resolved
from .run import Run
from .settings import Settings
from .stages.train import used_trainings
from .store import Store
from .transactions import hours

_RECENT, _SAMPLE = 50, 200
_ERRORS = (Detector.INFINITE_LOOP, Detector.UNINTENDED_CODE, Detector.WRONG_LANGUAGE)
Services = Mapping[str, Mapping[str, Any]]  # what each says of itself, as a manifest has it


@dataclass(frozen=True)
class Rate:
    items: int
    seconds: float
    experiments: int


@dataclass(frozen=True)
class Lengths:
    """`characters_per_token` of prompts, and the mean `completion` in tokens, in so many `responses`.

    `saved`: how much longer completions would have been on average had no loop been ended, if `stops_loops`.
    """

    experiment: str
    responses: int
    characters_per_token: float
    completion: float
    saved: float
    stops_loops: bool


@dataclass(frozen=True)
class Spread:
    """Of paired score differences, and the share of items where one arm errs alone; null: nothing to tell it from."""

    experiment: str
    standard_deviation: float | None
    discordant: float | None


class History:
    """The most recent experiments that completed, newest first."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store, self.settings = store, settings
        rows = store.completed(_RECENT)
        self.past = [(row, resolved(row.resolved)) for row in rows if row.manifest]

    def rate(self, phase: PhaseName, spec: ExperimentSpec, services: Services) -> Rate | None:
        """Of a phase in the experiments whose services, and models, were the same."""
        mine, items, seconds, experiments = participants(phase, spec, services), 0, 0.0, 0
        for row, past in self.past:
            if participants(phase, past, row.manifest["services"]) == mine:
                some, took = _measured(self.store.phases(row.id), phase, 3600 * hours(row))
                if some and took:
                    items, seconds, experiments = items + some, seconds + took, experiments + 1
        return Rate(items, seconds, experiments) if experiments else None

    def lengths(self, spec: ExperimentSpec, arm: Arm) -> Lengths | None:
        """Of the newest experiment with an arm of the same weights and prompting."""
        for row, past in self.past:
            for one in past.arms:
                same = (one.prompting, weights(past, one)) == (arm.prompting, weights(spec, arm))
                if same and (found := self._lengths(row.id, one)) is not None:
                    return found
        return None

    def _lengths(self, id: str, arm: Arm) -> Lengths | None:
        run, characters, tokens = Run(id, self.store, self.settings), 0, 0
        completions, saved = list[int](), 0
        for one in self._sample(run, arm.name):
            if one.instruction is not None and one.prompt_tokens and one.completion_tokens is not None:
                characters += prompt_characters(run, arm, one.language, one.instruction)
                tokens += one.prompt_tokens
                completions.append(one.completion_tokens)
                saved += one.loop.tokens_saved if one.loop is not None and one.finish_reason == "loop" else 0
        if not completions:
            return None
        stops, count = run.spec.decoding.stop_loops is not None, len(completions)
        return Lengths(id, count, characters / tokens, fmean(completions), saved / count, stops)

    def spread(self, judge: str, rubric: str, services: Services) -> Spread | None:
        """Of the newest experiment with two arms that the same judge scored on the same rubric."""
        for row, past in self.past:
            for choice in past.judges:
                same = _who(row.manifest["services"], f"judge:{choice.name}") == _who(services, f"judge:{judge}")
                if same and rubric in choice.rubrics.values() and len(past.arms) > 1:
                    return self._spread(Run(row.id, self.store, self.settings), choice.name, rubric)
        return None

    def _spread(self, run: Run, judge: str, rubric: str) -> Spread:
        arms = [self._sample(run, arm.name) for arm in run.spec.arms]
        return Spread(run.id, *apart(arms, judge, rubric))

    def _sample(self, run: Run, arm: str) -> list[ResponseRecord]:
        """The first records of an arm in each language."""
        some, found = max(1, _SAMPLE // len(run.spec.languages)), list[ResponseRecord]()
        for language in run.spec.languages:
            of_cell = records(run, wanted=partial(_is_cell, (arm, language)), at_once=some)
            found += [record for _, record in islice(of_cell, some)]
        return found


def apart(arms: list[list[ResponseRecord]], judge: str, rubric: str) -> tuple[float | None, float | None]:
    """Standard deviation of paired score differences, pooled over pairs of arms, languages and aspects; and the share
    of items on which one arm of a pair has a critical error and the other has not. Null where there is none."""
    squares, freedom, alone = 0.0, 0, list[bool]()
    for one, other in combinations(arms, 2):
        for differences in _differences(_scores(one, judge, rubric), _scores(other, judge, rubric)).values():
            if len(differences) > 1:
                squares += variance(differences) * (len(differences) - 1)
                freedom += len(differences) - 1
        errs, others = _errs(one), _errs(other)
        alone += [errs[key] != others[key] for key in errs.keys() & others.keys()]
    return (squares / freedom) ** 0.5 if squares else None, fmean(alone) if any(alone) else None


def _is_cell(cell: tuple[str, str], arm: str, language: str) -> bool:
    return (arm, language) == cell


def participants(phase: PhaseName, spec: ExperimentSpec, services: Services) -> Any:
    """Who does a phase: what decides how fast it is, as far as it is known."""
    match phase:
        case PhaseName.TRANSLATE:
            return _who(services, "translator")
        case PhaseName.TRAIN:
            trainings = [spec.trainings[name] for name in used_trainings(spec)]
            return _who(services, "trainer"), sorted((one.method, spec.models[one.model].base) for one in trainings)
        case PhaseName.GENERATE:
            return _who(services, "generator"), sorted({weights(spec, arm) for arm in spec.arms})
        case PhaseName.JUDGE:
            return sorted({str(_who(services, f"judge:{one.name}")) for one in spec.judges})
    return _who(services, "analyzer")


def weights(spec: ExperimentSpec, arm: Arm) -> tuple[str, str]:
    """The model that an arm begins with, and how it was trained."""
    family, training = spec.models[arm.model], spec.trainings.get(arm.weights)
    reference = family.instruct if arm.weights == "instruct" else family.base
    return reference or family.base, training.method.value if training else ""


def prompt_characters(run: Run, arm: Arm, language: str, instruction: str) -> int:
    text = instruction if arm.prompting == "chat" else run.prompting.text(arm.prompting, instruction)
    return len(run.prompting.prefix(arm.prompting, language)) + len(text)


def _who(services: Services, name: str) -> tuple[Any, Any] | None:
    info = services.get(name)
    return None if info is None else (info["implementation"], info["model"])


def _measured(phases: Mapping[str, Row[Any]], phase: PhaseName, worked: float) -> tuple[int, float]:
    """Items and seconds of a phase that is done. `worked`: of the whole experiment, without the days it was paused."""
    row = phases[phase]
    if row.state != PhaseState.DONE or row.started is None or row.finished is None:
        return 0, 0.0
    items = phases[PhaseName.GENERATE].total if phase == PhaseName.ANALYZE else row.done - row.reused
    took = _seconds(row.started, row.finished)
    return items, min(took, worked or took)  # versions of before there were pauses did not count


def _seconds(started: datetime, finished: datetime) -> float:
    return (finished - started).total_seconds()


def _scores(found: list[ResponseRecord], judge: str, rubric: str) -> dict[tuple[str, str, str], float]:
    """(language, aspect, item) -> score."""
    return {
        (record.language, one.aspect, record.item): one.score
        for record in found
        for one in record.judgments
        if one.judge == judge and one.rubric == rubric and one.score is not None
    }


def _differences(one: Mapping[Any, float], other: Mapping[Any, float]) -> dict[tuple[str, str], list[float]]:
    """(language, aspect) -> paired differences."""
    found = defaultdict[tuple[str, str], list[float]](list)
    for key in sorted(one.keys() & other.keys()):
        found[key[:2]].append(one[key] - other[key])
    return found


def _errs(found: list[ResponseRecord]) -> dict[tuple[str, str], bool]:
    """(language, item) -> whether the response has a critical error."""
    return {
        (record.language, record.item): any(
            one.detector in _ERRORS and one.finding == Finding.FOUND for one in record.detections
        )
        for record in found
        if record.response is not None
    }
