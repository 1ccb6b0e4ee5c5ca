"""The comparisons as they are published: each with the other views on it, and whether one of them flips it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from plumbline_contracts.analyzer import (
    Check,
    Conclusion,
    Detector,
    Difference,
    ErrorDifference,
    Interaction,
    JudgeRole,
)
from scipy import special

from .comparisons import (
    Cell,
    Family,
    Pair,
    Sums,
    Tests,
    as_observed,
    at_best,
    at_worst,
    concluded,
    expected,
    family,
    pairs,
    together,
    without_flagged,
)
from .means import causes, number
from .statistics.bootstrap import Bootstrap
from .statistics.families import holm
from .statistics.ordinal import CumulativeLink
from .table import NOT_APPLICABLE, Measure, Table

_MOST_LEVELS = 20


class Views(NamedTuple):
    """One judge's comparisons, or those of all detectors, and the same seen differently."""

    measures: list[Measure]
    observed: Family
    others: dict[str, Family]


def views(table: Table, measures: Sequence[Measure], bootstrap: Bootstrap) -> Views:
    observed, others = family(table, measures, bootstrap, as_observed), {}
    if any((np.isnan(measure.values) & measure.expected[:, None]).any() for measure in measures):
        others["missing at worst"] = family(table, measures, bootstrap, at_worst)
        others["missing at best"] = family(table, measures, bootstrap, at_best)
    if table.flagged.any():
        others["without flagged items"] = family(table, measures, bootstrap, without_flagged)
    return Views(list(measures), observed, others)


def differences(table: Table, bootstrap: Bootstrap) -> list[Difference]:
    """Every judge's; a judge that is no shadow is tested against all others."""
    every = {judge: views(table, list(measures.values()), bootstrap) for judge, measures in table.aspects.items()}
    roles = {judge.name: judge.role for judge in table.request.judges}
    return [
        difference
        for judge, mine in every.items()
        for difference in _of_judge(table, judge, mine, {} if roles[judge] == JudgeRole.SHADOW else every)
    ]


def _of_judge(table: Table, judge: str, mine: Views, every: dict[str, Views]) -> Iterator[Difference]:
    ordinal = _ordinal(table, mine)
    others = {name: _by_name(views) for name, views in every.items() if name != judge}
    for index, cell in enumerate(mine.observed.cells):
        aspect = mine.measures[cell.measure].name
        checks = [_check(name, theirs, index, mine.observed.conclusion(index)) for name, theirs in mine.others.items()]
        for name, cells in others.items():
            there = cells.get((aspect, cell.language, cell.pair))
            if there is not None:
                checks.append(_check(f"judge {name}", every[name].observed, there, mine.observed.conclusion(index)))
        checks += [ordinal[index]] if index in ordinal else []
        yield Difference(judge=judge, aspect=aspect, **_published(table, mine, index, checks))


def _by_name(views: Views) -> dict[tuple[str, int | None, Pair], int]:
    return {
        (views.measures[cell.measure].name, cell.language, cell.pair): index
        for index, cell in enumerate(views.observed.cells)
    }


def error_differences(table: Table, bootstrap: Bootstrap) -> list[ErrorDifference]:
    detected = [detector for detector in Detector if not np.isnan(table.detector(detector).values).all()]
    mine = views(table, [table.detector(detector) for detector in detected], bootstrap)
    return [
        ErrorDifference(
            detector=detected[cell.measure],
            **_published(
                table,
                mine,
                index,
                [_check(name, theirs, index, mine.observed.conclusion(index)) for name, theirs in mine.others.items()],
            ),
        )
        for index, cell in enumerate(mine.observed.cells)
    ]


def _check(against: str, theirs: Family, index: int, own: Conclusion) -> Check:
    tests, conclusion = theirs.tests, theirs.conclusion(index)
    return Check(
        against=against,
        n=int(tests.n[index]),
        difference=number(tests.value[index]),
        low=number(tests.low[index]),
        high=number(tests.high[index]),
        p=number(theirs.p_holm[index]),
        conclusion=conclusion,
        flips=conclusion != own and Conclusion.REFUSED not in (conclusion, own),
    )


def _published(table: Table, mine: Views, index: int, checks: list[Check]) -> dict[str, Any]:
    observed, cell = mine.observed, mine.observed.cells[index]
    tests, refused = observed.tests, observed.refused[index]
    worst, best = (
        number(mine.others.get(name, observed).tests.value[index]) for name in ("missing at worst", "missing at best")
    )
    shown = refused is None
    return {
        "language": None if cell.language is None else table.languages[cell.language],
        "arm": table.arms[cell.pair.arm],
        "baseline": table.arms[cell.pair.baseline],
        "n": int(tests.n[index]),
        "difference": number(tests.value[index]) if shown else None,
        "low": number(tests.low[index]) if shown else None,
        "high": number(tests.high[index]) if shown else None,
        "missing": _missing(table, mine.measures[cell.measure], cell),
        "p": number(tests.p[index]) if shown else None,
        "p_holm": number(observed.p_holm[index]),
        "family": observed.size,
        "higher": int(tests.higher[index]),
        "lower": int(tests.lower[index]),
        "effect_size": number(tests.effect[index]) if shown else None,
        "worst": worst,
        "best": best,
        "conclusion": observed.conclusion(index),
        "refused": refused,
        "checks": checks,
    }


def _missing(table: Table, measure: Measure, cell: Cell) -> dict[str, int]:
    """Pairs that are not there, by the arm's cause or, where the arm has a value, the baseline's."""
    counts: Counter[str] = Counter()
    for language in range(len(table.languages)) if cell.language is None else [cell.language]:
        items = expected(measure, language)
        lost, other = (np.isnan(measure.values[language, arm, items]) for arm in cell.pair)
        arm_causes, baseline_causes = (measure.causes[language, arm, items] for arm in cell.pair)
        counts.update(causes(table, arm_causes[lost]))
        counts.update(causes(table, baseline_causes[other & ~lost]))
    if measure.judge is None:
        counts.pop(NOT_APPLICABLE, None)
    return dict(sorted(counts.items()))


def _ordinal(table: Table, mine: Views) -> dict[int, Check]:
    """The same comparisons where scores are only ordered: a cumulative link model per aspect and language."""
    models: dict[tuple[int, int], CumulativeLink] = {}
    for place, language in product(range(len(mine.measures)), range(len(table.languages))):
        values = mine.measures[place].values[language]
        if 2 <= len(np.unique(values[~np.isnan(values)])) <= _MOST_LEVELS:
            models[place, language] = CumulativeLink(values)
    found, kept = [], []
    for index, cell in enumerate(mine.observed.cells):
        model = models.get((cell.measure, cell.language)) if cell.language is not None else None
        contrast = model.contrast(cell.pair.arm, cell.pair.baseline) if model else None
        if contrast and mine.observed.refused[index] is None:
            found.append(contrast)
            kept.append(index)
    p = holm(np.array([2 * special.ndtr(-abs(one.log_odds / one.error)) for one in found]))
    confidence = mine.observed.confidence
    z = float(special.ndtri((1 + confidence) / 2))
    checks = {}
    for index, contrast, corrected in zip(kept, found, p, strict=True):
        conclusion = concluded(contrast.log_odds, corrected, confidence)
        checks[index] = Check(
            against="ordinal model",
            n=int(mine.observed.tests.n[index]),
            difference=contrast.log_odds,
            low=contrast.log_odds - z * contrast.error,
            high=contrast.log_odds + z * contrast.error,
            p=float(corrected),
            conclusion=conclusion,
            flips=conclusion != mine.observed.conclusion(index),
        )
    return checks


def interactions(table: Table, bootstrap: Bootstrap) -> list[Interaction]:
    """Does an arm gain more over its baseline in one language than in the first? Items with all four values count."""
    groups: list[list[Measure]] = [list(measures.values()) for measures in table.aspects.values()]
    detected = [table.detector(detector) for detector in Detector]
    groups.append([measure for measure in detected if not np.isnan(measure.values).all()])
    return [one for measures in groups if measures for one in _interactions(table, measures, bootstrap)]


def _interactions(table: Table, measures: list[Measure], bootstrap: Bootstrap) -> Iterator[Interaction]:
    chosen, others = pairs(table.request), range(1, len(table.languages))
    if not chosen or not others:
        return
    where = list(product(measures, others))
    parts = together([_twice(measure, language, chosen) for measure, language in where], bootstrap)
    tests = Tests(*map(np.concatenate, zip(*parts, strict=True)))
    tried = np.where(tests.n >= 2, tests.p, np.nan)
    p_holm = holm(tried)
    for index, ((measure, language), pair) in enumerate(product(where, chosen)):
        n, unknown = int(tests.n[index]), np.isnan(tried[index])
        yield Interaction(
            judge=measure.judge,
            measure=measure.name,
            language=table.languages[language],
            reference=table.languages[0],
            arm=table.arms[pair.arm],
            baseline=table.arms[pair.baseline],
            n=n,
            difference=number(tests.value[index]),
            low=number(tests.low[index]),
            high=number(tests.high[index]),
            missing={"not in all four": len(expected(measure, None)) - n} if len(expected(measure, None)) > n else {},
            p=number(tests.p[index]),
            p_holm=number(p_holm[index]),
            family=int((~np.isnan(p_holm)).sum()),
            conclusion=Conclusion.REFUSED
            if unknown
            else concluded(tests.value[index], p_holm[index], bootstrap.confidence),
            refused="no item has all four values" if unknown else None,
        )


def _twice(measure: Measure, language: int, chosen: list[Pair]) -> Sums:
    items = np.flatnonzero(measure.expected[0] & measure.expected[language])
    arms, baselines = [pair.arm for pair in chosen], [pair.baseline for pair in chosen]
    values = measure.values[:, :, items]
    gains = values[:, arms] - values[:, baselines]
    twice = (gains[language] - gains[0]).T
    return Sums(np.nan_to_num(twice), (~np.isnan(twice)).astype(float))
