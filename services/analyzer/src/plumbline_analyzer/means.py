"""Mean scores per arm, language and aspect, and rates of errors, with everything that is missing counted by cause."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from plumbline_contracts.analyzer import AspectMean, Detector, ErrorRate

from .statistics import rates
from .statistics.bootstrap import Bootstrap
from .table import NOT_APPLICABLE, UNDECIDED, Measure, Table


def means(table: Table, bootstrap: Bootstrap) -> Iterator[AspectMean]:
    for measures in table.aspects.values():
        found = {aspect: _means(table, measure, bootstrap) for aspect, measure in measures.items()}
        for language in range(len(table.languages)):
            for aspect in measures:
                yield from found[aspect][language]


def _means(table: Table, measure: Measure, bootstrap: Bootstrap) -> dict[int, list[AspectMean]]:
    """By language. Those with equally many items are resampled together, which changes nothing but the time."""
    items = [np.flatnonzero(expected) for expected in measure.expected]
    found: dict[int, list[AspectMean]] = {}
    for size in {len(one) for one in items}:
        mine = [language for language, one in enumerate(items) if len(one) == size]
        values = np.stack([measure.values[language][:, items[language]].T for language in mine], axis=1)
        (low, high), leads = bootstrap.means(values)
        for place, language in enumerate(mine):
            intervals = zip(low[place], high[place], leads[place], strict=True)
            found[language] = [
                _mean(table, measure, language, arm, items[language], interval)
                for arm, interval in enumerate(intervals)
            ]
    return found


def _mean(
    table: Table, measure: Measure, language: int, arm: int, items: NDArray[np.int64], interval: tuple[float, ...]
) -> AspectMean:
    values = measure.values[language, arm, items]
    known = ~np.isnan(values)
    n, total = int(known.sum()), float(values[known].sum())
    return AspectMean(
        judge=measure.judge or "",
        arm=table.arms[arm],
        language=table.languages[language],
        aspect=measure.name,
        n=n,
        mean=total / n if n else None,
        low=number(interval[0]),
        high=number(interval[1]),
        leads=number(interval[2]),
        missing=causes(table, measure.causes[language, arm, items[~known]]),
        worst=_bound(total, n, len(items) - n, measure.lowest),
        best=_bound(total, n, len(items) - n, measure.highest),
    )


def _bound(total: float, n: int, absent: int, value: float) -> float | None:
    return float((total + value * absent) / (n + absent)) if n + absent else None


def error_rates(table: Table, confidence: float) -> Iterator[ErrorRate]:
    for language, code in enumerate(table.languages):
        items = table.items_of(language)
        for detector in Detector:
            measure = table.detector(detector)
            values = measure.values[language][:, items]
            found, n = np.nansum(values, axis=1).astype(int), (~np.isnan(values)).sum(1)
            low, high = rates.wilson(found, n, confidence)
            for arm, name in enumerate(table.arms):
                missing = causes(table, measure.causes[language, arm, items][np.isnan(values[arm])])
                yield ErrorRate(
                    arm=name,
                    language=code,
                    detector=detector,
                    n=int(n[arm]),
                    found=int(found[arm]),
                    rate=float(found[arm] / n[arm]) if n[arm] else None,
                    low=number(low[arm]),
                    high=number(high[arm]),
                    undecided=missing.pop(UNDECIDED, 0),
                    not_applicable=missing.pop(NOT_APPLICABLE, 0),
                    missing=missing,
                )


def causes(table: Table, codes: NDArray[np.int16]) -> dict[str, int]:
    """How often each cause, by name."""
    counts = np.bincount(codes, minlength=len(table.causes))
    return dict(sorted((table.causes[code], int(counts[code])) for code in np.flatnonzero(counts)))


def number(value: float) -> float | None:
    """nan is no number for JSON."""
    return float(value) if np.isfinite(value) else None
