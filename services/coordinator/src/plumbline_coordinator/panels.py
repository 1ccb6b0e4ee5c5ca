"""Several judges as one: their scores of a response, aggregated as the experiment says."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from statistics import fmean, median

from plumbline_contracts.coordinator import RecordedJudgment
from plumbline_contracts.experiment import ExperimentSpec, Panel
from plumbline_kit.errors import ProblemError

NO_QUORUM, NO_MAJORITY = "no_quorum", "no_majority"


def judgments(panel: Panel, given: Sequence[RecordedJudgment]) -> Iterator[RecordedJudgment]:
    """The panel's, of one response: on every aspect that all of its judges were asked about."""
    by_aspect: dict[str, dict[str, RecordedJudgment]] = {}
    for one in given:
        by_aspect.setdefault(one.aspect, {})[one.judge] = one
    for aspect, by_judge in by_aspect.items():
        if by_judge.keys() >= set(panel.judges):
            yield _judgment(panel, aspect, [by_judge[name] for name in panel.judges])


def _judgment(panel: Panel, aspect: str, members: Sequence[RecordedJudgment]) -> RecordedJudgment:
    scores = [one.score for one in members if one.score is not None]
    enough = len(scores) >= (panel.quorum or len(members))
    score = _AGGREGATIONS[panel.aggregation](scores) if enough else None
    told = ", ".join(f"{one.judge} {one.missing if one.score is None else f'{one.score:g}'}" for one in members)
    return RecordedJudgment(
        judge=panel.name,
        rubric=" + ".join(dict.fromkeys(one.rubric for one in members)),
        aspect=aspect,
        score=score,
        stated=None,
        confidence=None,
        repaired=False,
        rationale=f"{panel.aggregation} of {told}",
        missing=None if score is not None else NO_MAJORITY if enough else NO_QUORUM,
    )


def _vote(scores: Sequence[float]) -> float | None:
    """The label that most judges gave, or null where two have as many votes: a tie is no verdict."""
    (label, votes), *others = Counter(math.floor(score + 0.5) for score in scores).most_common(2)
    return None if others and others[0][1] == votes else float(label)


_AGGREGATIONS: dict[str, Callable[[Sequence[float]], float | None]] = {"median": median, "mean": fmean, "vote": _vote}


def faults(spec: ExperimentSpec) -> Iterator[tuple[list[str | int], str]]:
    """What is wrong with the panels of an experiment file, and where."""
    names = [choice.name for choice in spec.judges]
    if spec.judges and not spec.panels and all(choice.role == "shadow" for choice in spec.judges):
        yield ["judges", 0, "role"], "every judge is a shadow; one must be primary, or there must be a panel"
    for index, panel in enumerate(spec.panels):
        if panel.name in names or panel.name in [one.name for one in spec.panels[:index]]:
            yield ["panels", index, "name"], f"{panel.name!r} is the name of a judge or panel before"
        for place, judge in enumerate(panel.judges):
            if judge not in names:
                have = ", ".join(names)
                yield ["panels", index, "judges", place], f"the experiment has no judge {judge!r}; it has: {have}"
            elif judge in panel.judges[:place]:
                yield ["panels", index, "judges", place], f"{judge!r} is given twice"
        if panel.quorum is not None and panel.quorum > len(panel.judges):
            yield ["panels", index, "quorum"], f"the panel has {len(panel.judges)} judges"


def must_share(spec: ExperimentSpec, rubrics: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
    """Raise the problem `panel-without-aspect` where the judges of a panel have no aspect in common.

    `rubrics` has the aspects of each rubric by judge."""
    for panel in spec.panels:
        choices = [choice for choice in spec.judges if choice.name in panel.judges]
        shared = [
            set.intersection(*(set(rubrics[one.name].get(one.rubrics.get(category, ""), ())) for one in choices))
            for category in choices[0].rubrics
        ]
        if not any(shared):
            told = "; ".join(
                f"{one.name}: {', '.join(dict.fromkeys(chain.from_iterable(rubrics[one.name].values())))}"
                for one in choices
            )
            detail = f"The judges of the panel {panel.name!r} score no aspect in common ({told})."
            raise ProblemError(422, "panel-without-aspect", detail)
