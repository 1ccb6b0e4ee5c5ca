"""Interval estimates: bootstrap over items for means, Wilson for shares. Pure: a seed, no clock, no state."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from plumbline_contracts.analyzer import AnalysisSettings
from scipy import stats  # type: ignore[import-untyped]

_CELLS = 4_000_000  # resampled values held in memory at a time


class Interval(NamedTuple):
    """Both ends are null where the sample says nothing about its own spread."""

    low: float | None
    high: float | None


UNKNOWN = Interval(None, None)


def mean_interval(values: Sequence[float], settings: AnalysisSettings) -> Interval:
    """Bias-corrected and accelerated bootstrap interval of the mean (Efron 1987), resampling items.

    Unknown for fewer than two values. Values that are all the same give an interval without width, as any bootstrap of
    them does: every one of the paired items differing by 4 is evidence, not lack of it.
    """
    if len(values) < 2:
        return UNKNOWN
    if len(set(values)) == 1:
        return Interval(values[0], values[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result = stats.bootstrap(
            (np.asarray(values, dtype=float),),
            np.mean,
            n_resamples=settings.resamples,
            batch=max(1, _CELLS // len(values)),
            confidence_level=settings.confidence,
            method="BCa",
            rng=np.random.default_rng(settings.seed),
        ).confidence_interval
    low, high = float(result.low), float(result.high)
    return Interval(low, high) if np.isfinite([low, high]).all() else UNKNOWN


def share_interval(found: int, n: int, settings: AnalysisSettings) -> Interval:
    """Wilson's score interval of a share (Wilson 1927)."""
    if n == 0:
        return UNKNOWN
    interval = stats.binomtest(found, n).proportion_ci(settings.confidence, method="wilson")
    return Interval(float(interval.low), float(interval.high))
