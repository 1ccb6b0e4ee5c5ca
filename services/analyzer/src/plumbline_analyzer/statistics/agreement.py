"""How far two judges agree on the same responses. Intervals resample items, which carry the responses of all arms."""

import warnings
from typing import NamedTuple

import krippendorff
import numpy as np
from scipy import stats

from .bootstrap import Bootstrap, Floats

_MOST_LEVELS = 20


class Value(NamedTuple):
    value: float
    low: float
    high: float


class Agreement(NamedTuple):
    n: int
    kappa: Value
    alpha: Value
    spearman: Value
    exact: float
    bias: Value


def agreement(first: Floats, second: Floats, bootstrap: Bootstrap) -> Agreement:
    """Both are items x arms, nan for missing; only responses that both scored count."""
    both = ~np.isnan(first) & ~np.isnan(second)
    first, second = np.where(both, first, np.nan), np.where(both, second, np.nan)
    x, y, items = first[both], second[both], both.any(1)
    if not len(x):
        unknown = Value(np.nan, np.nan, np.nan)
        return Agreement(0, unknown, unknown, unknown, np.nan, unknown)
    moments = _moments(first[items] - 3, second[items] - 3)
    ranks = [np.full(both.shape, np.nan) for _ in range(2)]
    for rank, values in zip(ranks, (x, y), strict=True):
        rank[both] = 2 * stats.rankdata(values) / (len(values) + 1) - 1
    ranked = _moments(ranks[0][items], ranks[1][items])
    difference = second[items] - first[items]
    means = bootstrap.ratios(np.nansum(difference, 1, keepdims=True), both[items].sum(1, keepdims=True).astype(float))
    return Agreement(
        n=len(x),
        kappa=Value(float(weighted_kappa(moments.sum(0)[:, None])[0]), *bootstrap.percentiles(moments, weighted_kappa)),
        alpha=_alpha(first[items], second[items], bootstrap),
        # The ranks stay those of the whole sample while items are resampled.
        spearman=Value(float(correlation(ranked.sum(0)[:, None])[0]), *bootstrap.percentiles(ranked, correlation)),
        exact=float(np.mean(x == y)),
        bias=Value(float(np.mean(y - x)), float(means.low[0]), float(means.high[0])),
    )


def _moments(x: Floats, y: Floats) -> Floats:
    """Items x (count, x, y, xx, yy, xy), each summed over the arms."""
    count = (~np.isnan(x)).astype(float)
    return np.stack([np.nansum(one, 1) for one in (count, x, y, x * x, y * y, x * y)], axis=1)


def _central(sums: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    n, x, y, xx, yy, xy = sums
    return xx / n - (x / n) ** 2, yy / n - (y / n) ** 2, xy / n - x * y / n**2, x / n - y / n


def weighted_kappa(sums: Floats) -> Floats:
    """Cohen's kappa with quadratic weights, from moments (Fleiss & Cohen 1973); scores may be fractions."""
    variance_x, variance_y, covariance, shift = _central(sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 2 * covariance / (variance_x + variance_y + shift**2)


def correlation(sums: Floats) -> Floats:
    variance_x, variance_y, covariance, _ = _central(sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(
            np.minimum(variance_x, variance_y) > 1e-9, covariance / np.sqrt(variance_x * variance_y), np.nan
        )


def _alpha(first: Floats, second: Floats, bootstrap: Bootstrap) -> Value:
    """Krippendorff's, ordinal. Scores of very many values are taken to the nearest half."""
    levels = np.unique(np.concatenate([first[~np.isnan(first)], second[~np.isnan(second)]]))
    if len(levels) > _MOST_LEVELS:
        return _alpha(np.rint(2 * first) / 2, np.rint(2 * second) / 2, bootstrap)
    if len(levels) < 2:
        return Value(np.nan, np.nan, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pairs = np.stack([first.ravel(), second.ravel()])
        value = float(krippendorff.alpha(pairs, level_of_measurement="ordinal"))
    seen = ~np.isnan(first)
    cells = np.searchsorted(levels, np.nan_to_num(first)) * len(levels) + np.searchsorted(levels, np.nan_to_num(second))
    counts = np.stack([((cells == cell) & seen).sum(1) for cell in range(len(levels) ** 2)], axis=1).astype(float)
    return Value(value, *bootstrap.percentiles(counts, ordinal_alpha))


def ordinal_alpha(sums: Floats) -> Floats:
    """Of two raters, from the counts of their pairs of levels (levels^2 x resamples); Krippendorff 2011."""
    levels = round(len(sums) ** 0.5)
    pairs = sums.reshape(levels, levels, -1)
    together = pairs + pairs.transpose(1, 0, 2)
    margins = together.sum(1)
    n = margins.sum(0)
    until = np.cumsum(margins, axis=0)
    between = np.abs(until[:, None] - until[None] - (margins[:, None] - margins[None]) / 2)
    observed, expected = (
        (together * between**2).sum((0, 1)),
        (margins[:, None] * margins[None] * between**2).sum((0, 1)),
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 0, 1 - (n - 1) * observed / expected, np.nan)
