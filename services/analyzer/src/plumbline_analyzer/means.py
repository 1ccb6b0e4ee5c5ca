"""Mean scores per arm, language and aspect, and rates of errors, with everything that is missing counted by cause."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from plumbline_contracts.analyzer import AspectMean, Detector, ErrorRate

from .statistics import rates
from .statistics.bootstrap import Bootstrap, Floats
from .table import NOT_APPLICABLE, UNDECIDED, Measure, Table


def means(table: Table, bootstrap: Bootstrap) -> Iterator[AspectMean]:
    for measures in table.aspects.values():
        for language in range(len(table.languages)):
            for measure in measures.values():
                yield from _means(table, measure, language, bootstrap)


def _means(table: Table, measure: Measure, language: int, bootstrap: Bootstrap) -> Iterator[AspectMean]:
    expected = np.flatnonzero(measure.expected[language])
    values = measure.values[language][:, expected].T
    known = ~np.isnan(values)
    n, absent, total = known.sum(0), (~known).sum(0), np.nansum(values, axis=0)
    low, high = bootstrap.means(values)
    leads = bootstrap.leads(values)
    mean = rates.share(total, n.astype(float))
    for arm, name in enumerate(table.arms):
        yield AspectMean(
            judge=measure.judge or "",
            arm=name,
            language=table.languages[language],
            aspect=measure.name,
            n=int(n[arm]),
            mean=number(mean[arm]),
            low=number(low[arm]),
            high=number(high[arm]),
            leads=number(leads[arm]),
            missing=causes(table, measure.causes[language, arm, expected[~known[:, arm]]]),
            worst=_bound(total[arm], n[arm], absent[arm], measure.lowest),
            best=_bound(total[arm], n[arm], absent[arm], measure.highest),
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


def number(value: float | Floats) -> float | None:
    """nan is no number for JSON."""
    return float(value) if np.isfinite(value) else None
