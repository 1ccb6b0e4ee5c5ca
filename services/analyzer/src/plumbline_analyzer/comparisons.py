"""Families of paired comparisons: every arm against its baseline, per language and over all, under several views."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from plumbline_contracts.analyzer import AnalysisRequest, Conclusion

from .statistics import rates, sign_flip
from .statistics.bootstrap import Bootstrap, Floats
from .statistics.families import holm
from .table import NOT_APPLICABLE, Measure, Table


class Sides(NamedTuple):
    """A measure's values (languages x arms x items) for the arm under study, and for its baseline."""

    arm: Floats
    baseline: Floats


View = Callable[[Table, Measure], Sides]


class Pair(NamedTuple):
    arm: int
    baseline: int


class Cell(NamedTuple):
    """One comparison. `language` is null over all languages."""

    measure: int
    language: int | None
    pair: Pair


class Tests(NamedTuple):
    """One number per cell."""

    n: NDArray[np.int64]
    value: Floats
    low: Floats
    high: Floats
    p: Floats
    higher: NDArray[np.int64]
    lower: NDArray[np.int64]
    effect: Floats


class Family(NamedTuple):
    cells: list[Cell]
    tests: Tests
    refused: list[str | None]
    p_holm: Floats
    size: int
    confidence: float

    def conclusion(self, index: int) -> Conclusion:
        if self.refused[index] is not None:
            return Conclusion.REFUSED
        return concluded(self.tests.value[index], self.p_holm[index], self.confidence)


def concluded(value: float, p: float, confidence: float) -> Conclusion:
    if not p <= 1 - confidence + 1e-12:
        return Conclusion.NO_DIFFERENCE
    return Conclusion.HIGHER if value > 0 else Conclusion.LOWER


def pairs(request: AnalysisRequest) -> list[Pair]:
    """Every arm but the first against the first arm of its model, and that one against the first arm of all."""
    first_of: dict[str, int] = {}
    baselines = [first_of.setdefault(arm.model, place) for place, arm in enumerate(request.arms)]
    return [Pair(arm, 0 if arm == baseline else baseline) for arm, baseline in enumerate(baselines) if arm]


def as_observed(_: Table, measure: Measure) -> Sides:
    return Sides(measure.values, measure.values)


def at_worst(table: Table, measure: Measure) -> Sides:
    """Every missing value as bad as can be for the arm and as good as can be for the baseline."""
    bad, good = (measure.lowest, measure.highest) if measure.judge else (measure.highest, measure.lowest)
    return Sides(_filled(table, measure, bad), _filled(table, measure, good))


def at_best(table: Table, measure: Measure) -> Sides:
    return Sides(*reversed(at_worst(table, measure)))


def without_flagged(table: Table, measure: Measure) -> Sides:
    values = np.where(table.flagged[:, None], np.nan, measure.values)
    return Sides(values, values)


def _filled(table: Table, measure: Measure, value: float) -> Floats:
    missing = np.isnan(measure.values) & measure.expected[:, None]
    if measure.judge is None:
        missing &= measure.causes != table.cause(NOT_APPLICABLE)
    return np.where(missing, value, measure.values)


def family(table: Table, measures: Sequence[Measure], bootstrap: Bootstrap, view: View = as_observed) -> Family:
    """All comparisons of these measures; Holm's correction covers those that are not refused."""
    chosen = pairs(table.request)
    languages: list[int | None] = [*range(len(table.languages))]
    if len(languages) > 1:
        languages.append(None)
    cells, refused, parts = [], [], []
    for place, measure in enumerate(measures):
        sides = view(table, measure)
        sums = [_paired(measure, sides, language, chosen) for language in languages]
        found = together(sums, bootstrap)
        for language, tests in zip(languages, found, strict=True):
            cells += [Cell(place, language, pair) for pair in chosen]
            refused += [_refusal(table, measure, sides, language, pair) for pair in chosen]
            parts.append(_honest(measure, language, tests, bootstrap.confidence))
    tests = Tests(*map(np.concatenate, zip(*parts, strict=True))) if parts else Tests(*[np.array([])] * 8)
    kept = np.array([reason is None for reason in refused], dtype=bool)
    p_holm = holm(np.where(kept, tests.p, np.nan)) if parts else tests.p
    return Family(cells, tests, refused, p_holm, int((~np.isnan(p_holm)).sum()), bootstrap.confidence)


def expected(measure: Measure, language: int | None) -> NDArray[np.int64]:
    """The items, over all languages those that any language expects."""
    return np.flatnonzero(measure.expected.any(0) if language is None else measure.expected[language])


class Sums(NamedTuple):
    """Paired differences per item and pair: their total over languages, and how many they are."""

    totals: Floats
    counts: Floats


def _paired(measure: Measure, sides: Sides, language: int | None, chosen: list[Pair]) -> Sums:
    items, which = expected(measure, language), _which(language)
    arms, baselines = [pair.arm for pair in chosen], [pair.baseline for pair in chosen]
    differences = sides.arm[which][:, arms][:, :, items] - sides.baseline[which][:, baselines][:, :, items]
    return Sums(np.nansum(differences, axis=0).T, (~np.isnan(differences)).sum(0).T.astype(float))


def together(parts: Sequence[Sums], bootstrap: Bootstrap) -> list[Tests]:
    """Those with equally many items are resampled together, which changes nothing but the time."""
    found: dict[int, Tests] = {}
    for size in {len(part.totals) for part in parts}:
        mine = [place for place, part in enumerate(parts) if len(part.totals) == size]
        totals, counts = (np.concatenate([parts[place][which] for place in mine], axis=1) for which in (0, 1))
        tests = test(totals, counts, bootstrap)
        width = totals.shape[1] // len(mine)
        for turn, place in enumerate(mine):
            found[place] = Tests._make(one[turn * width : (turn + 1) * width] for one in tests)
    return [found[place] for place in range(len(parts))]


def _honest(measure: Measure, language: int | None, tests: Tests, confidence: float) -> Tests:
    """Errors are rare, and a bootstrap of rare events is too sure of itself."""
    if measure.judge is not None or language is None:
        return tests
    low, high = rates.paired(tests.higher, tests.lower, tests.n, confidence)
    return tests._replace(low=low, high=high)


def test(totals: Floats, counts: Floats, bootstrap: Bootstrap) -> Tests:
    """`totals` of paired differences per item and cell, `counts` how many differences they sum."""
    present = counts > 0
    low, high = bootstrap.ratios(totals, counts)
    with np.errstate(invalid="ignore", divide="ignore"):
        per_item = np.where(present, totals / counts, np.nan)
        n = present.sum(0)
        mean = np.nansum(per_item, axis=0) / n
        spread = np.sqrt(np.nansum((per_item - mean) ** 2, axis=0) / (n - 1))
        effect = np.where(spread > 0, mean / spread, np.nan)
    return Tests(
        n=n,
        value=rates.share(totals.sum(0), counts.sum(0)),
        low=low,
        high=high,
        p=sign_flip.p_values(np.where(present, totals, np.nan)),
        higher=(totals > 1e-9).sum(0),
        lower=(totals < -1e-9).sum(0),
        effect=effect,
    )


def _which(language: int | None) -> slice:
    return slice(None) if language is None else slice(language, language + 1)


def _refusal(table: Table, measure: Measure, sides: Sides, language: int | None, pair: Pair) -> str | None:
    which = _which(language)
    if np.isnan(sides.arm[which, pair.arm] - sides.baseline[which, pair.baseline]).all():
        return "no item has a value for both"
    known = (sides.arm[which, pair.arm], sides.baseline[which, pair.baseline])
    shares = [_coverage(table, measure, values, which, arm) for values, arm in zip(known, pair, strict=True)]
    if abs(shares[0] - shares[1]) <= table.request.settings.coverage_gap:
        return None
    low, high = sorted(zip(shares, (table.arms[arm] for arm in pair), strict=True))
    return f"coverage differs: {low[0]:.1%} of the values are there for {low[1]}, {high[0]:.1%} for {high[1]}"


def _coverage(table: Table, measure: Measure, values: Floats, which: slice, arm: int) -> float:
    """Share of the expected items with a value. What a detector does not apply to is not expected of it."""
    wanted = measure.expected[which]
    if measure.judge is None:
        wanted = wanted & (measure.causes[which, arm] != table.cause(NOT_APPLICABLE))
    return float((wanted & ~np.isnan(values)).sum() / max(1, wanted.sum()))
