"""Estimates with intervals from gold items, by the statistics that experiments use too."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from plumbline_contracts.analysis import AnalysisSettings
from plumbline_contracts.results import Estimate

from ..judges import estimate
from ..means import number
from ..statistics import agreement, rates
from ..statistics.bootstrap import Bootstrap

NOTHING = Estimate(value=None, low=None, high=None)
LABELS = 5


def share(found: int, n: int, settings: AnalysisSettings) -> Estimate:
    """found / n with its Wilson interval."""
    if n == 0:
        return NOTHING
    low, high = rates.wilson(np.array([found]), np.array([n]), settings.confidence)
    return Estimate(value=found / n, low=number(low[0]), high=number(high[0]))


def mean(values: Sequence[float], settings: AnalysisSettings) -> Estimate:
    if not values:
        return NOTHING
    columns = np.asarray(values, dtype=float)[:, None]
    low, high = _bootstrap(settings).ratios(columns, np.ones_like(columns))
    return Estimate(value=float(np.mean(values)), low=number(low[0]), high=number(high[0]))


def kappa(scores: Sequence[float], gold: Sequence[float], settings: AnalysisSettings) -> Estimate:
    """Cohen's kappa with quadratic weights; scores may be fractions."""
    first, second = (np.asarray(values, dtype=float)[:, None] for values in (gold, scores))
    return estimate(agreement.agreement(first, second, _bootstrap(settings)).kappa) if len(first) else NOTHING


def _bootstrap(settings: AnalysisSettings) -> Bootstrap:
    return Bootstrap(settings.resamples, settings.seed, settings.confidence)


def label(score: float) -> int:
    """The nearest label, halves upwards: 3.5 is 4."""
    return int(np.floor(score + 0.5))


def confusion(scores: Sequence[float], gold: Sequence[int]) -> NDArray[np.int64]:
    """Rows are gold 1 to 5, columns the rounded score."""
    counts = np.zeros((LABELS, LABELS), dtype=np.int64)
    for score, wanted in zip(scores, gold, strict=True):
        counts[wanted - 1, label(score) - 1] += 1
    return counts
