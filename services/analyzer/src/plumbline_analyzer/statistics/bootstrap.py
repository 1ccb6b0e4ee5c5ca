"""The bootstrap of many cells at once: items are resampled as clusters, and every cell sees the same resamples."""

import math
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
_HELD = 40_000_000  # weights held in memory at a time (4 bytes each)


class Interval(NamedTuple):
    """Both ends are nan where the sample says nothing about its own spread."""

    low: Floats
    high: Floats


class Bootstrap:
    """Resamples of items: `numpy.random.default_rng(seed).integers(0, n, (resamples, n))`, as scipy draws them.

    How often an item was drawn is its weight, so that a resampled sum is a matrix product over all cells.
    """

    def __init__(self, resamples: int, seed: int, confidence: float) -> None:
        self.resamples, self.seed, self.confidence = resamples, seed, confidence
        self._kept: tuple[int, NDArray[np.float32]] | None = None

    def _weights(self, n: int) -> Iterator[NDArray[np.float32]]:
        """Blocks of rows of the resamples x n weights; the last matrix is kept where it fits."""
        if self._kept and self._kept[0] == n:
            yield self._kept[1]
            return
        rng, rows = np.random.default_rng(self.seed), max(1, _HELD // max(1, n))
        if n == 0:
            yield np.zeros((self.resamples, 0), np.float32)
            return
        for start in range(0, self.resamples, rows):
            block = _counted(rng.integers(0, n, (min(rows, self.resamples - start), n)))
            if rows >= self.resamples:
                self._kept = (n, block)
            yield block

    def sums(self, columns: NDArray[np.float32]) -> Floats:
        """Resampled column sums of items x cells, as cells x resamples."""
        blocks = [(weights @ columns).T for weights in self._weights(len(columns))]
        return np.concatenate(blocks, axis=1, dtype=np.float64)

    def means(self, values: Floats) -> tuple[Interval, Floats]:
        """Bias-corrected and accelerated intervals (Efron 1987) of the means of items x groups x arms; nan is missing.

        And, per group and arm, the share of resamples in which the arm has its group's largest mean; ties share. A
        resample holds as many items as there are, missing ones too, as an experiment with other items would.
        """
        columns = values.reshape(len(values), math.prod(values.shape[1:]))
        totals, counts = np.nan_to_num(columns), (~np.isnan(columns)).astype(float)
        resampled = self.resampled(totals, counts)
        leads = _leads(resampled.reshape(*values.shape[1:], -1))
        low, high = self._intervals(totals, counts, resampled)
        return Interval(low.reshape(values.shape[1:]), high.reshape(values.shape[1:])), leads

    def resampled(self, totals: Floats, counts: Floats) -> Floats:
        """Sum of totals / sum of counts as cells x resamples; nan where a resample has no count."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.sums(totals.astype(np.float32)) / self.sums(counts.astype(np.float32))

    def ratios(self, totals: Floats, counts: Floats) -> Interval:
        """The same for sum of totals / sum of counts, both items x cells."""
        return self._intervals(totals, counts, self.resampled(totals, counts))

    def _intervals(self, totals: Floats, counts: Floats, resampled: Floats) -> Interval:
        if totals.shape[0] < 2 or totals.shape[1] == 0:
            return Interval(*np.full((2, totals.shape[1]), np.nan))
        with np.errstate(invalid="ignore", divide="ignore"):
            found = totals.sum(0) / counts.sum(0)
            resampled = np.where(np.isfinite(resampled), resampled, found[:, None])
            leaving_out = (totals.sum(0) - totals) / (counts.sum(0) - counts)
            ends = self._accelerated(found, resampled, leaving_out)
            # Values that are all the same are evidence, not lack of it: an interval without width.
            same = np.abs(totals - found * counts).max(0) < 1e-9
        low, high = (np.where(same, found, end) for end in ends)
        too_few = (counts > 0).sum(0) < 2
        return Interval(np.where(too_few, np.nan, low), np.where(too_few, np.nan, high))

    def _accelerated(self, found: Floats, resampled: Floats, leaving_out: Floats) -> tuple[Floats, Floats]:
        below = ((resampled < found[:, None]).sum(1) + (resampled <= found[:, None]).sum(1)) / (2 * self.resamples)
        bias = special.ndtri(below)
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # a cell without any value
            influence = np.nanmean(leaving_out, 0) - leaving_out
        acceleration = np.nansum(influence**3, 0) / (6 * np.nansum(influence**2, 0) ** 1.5)
        tail = special.ndtri((1 - self.confidence) / 2)
        places = [special.ndtr(bias + (bias + z) / (1 - acceleration * (bias + z))) for z in (tail, -tail)]
        resampled.sort(axis=1)
        low, high = (_quantile(resampled, place) for place in places)
        return low, high

    def percentiles(self, columns: Floats, statistic: Callable[[Floats], Floats]) -> tuple[float, float]:
        """Percentile interval of a statistic that is a function of the column sums of items x columns."""
        if len(columns) < 2:
            return np.nan, np.nan
        with np.errstate(invalid="ignore", divide="ignore"):
            resampled = statistic(self.sums(columns.astype(np.float32)))
        resampled = resampled[np.isfinite(resampled)]
        if len(resampled) < self.resamples / 2:
            return np.nan, np.nan
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(resampled, [tail, 1 - tail])
        return float(low), float(high)


def _leads(resampled: Floats) -> Floats:
    """groups x arms from groups x arms x resamples; unknown where an arm has no score, since it may be the best."""
    unscored: NDArray[np.bool_] = np.asarray(np.isnan(resampled).all(2))
    unknown = unscored.any(1) | (resampled.shape[1] < 2)
    resampled = np.where(unknown[:, None, None], 0, np.nan_to_num(resampled, nan=-np.inf))
    first = resampled >= resampled.max(1, keepdims=True) - 1e-9
    return np.where(unknown[:, None], np.nan, (first / first.sum(1, keepdims=True)).mean(2))


def _counted(drawn: NDArray[np.int64]) -> NDArray[np.float32]:
    rows, n = drawn.shape
    places = drawn + np.arange(rows)[:, None] * n
    return np.bincount(places.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float32)


def _quantile(ordered: Floats, shares: Floats) -> Floats:
    """Linear quantiles, one per row of sorted rows, as numpy's."""
    place = np.clip(np.nan_to_num(shares), 0, 1) * (ordered.shape[1] - 1)
    rows, left = np.arange(len(ordered)), np.floor(place).astype(int)
    right = np.minimum(left + 1, ordered.shape[1] - 1)
    value = ordered[rows, left] + (place - left) * (ordered[rows, right] - ordered[rows, left])
    return np.where(np.isnan(shares), np.nan, value)
