"""Intervals of shares and of paired differences of shares, for arrays of them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special
from statsmodels.stats.proportion import proportion_confint

from .bootstrap import Floats, Interval


def wilson(found: NDArray[np.int64], n: NDArray[np.int64], confidence: float) -> Interval:
    """Wilson's score interval (1927); nan where n is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = proportion_confint(found, n, alpha=1 - confidence, method="wilson")
    return Interval(np.where(n > 0, np.clip(low, 0, 1), np.nan), np.where(n > 0, np.clip(high, 0, 1), np.nan))


def paired(only_first: ArrayLike, only_second: ArrayLike, n: ArrayLike, confidence: float) -> Interval:
    """Difference of two shares on the same items (Bonett & Price 2012, adjusted Wald): honest when both are rare.

    `only_first` and `only_second` count the items on which only the one is true; no library here has it.
    """
    first, second, size = (np.asarray(count, dtype=float) for count in (only_first, only_second, n))
    more, less, size = (first + 1) / (size + 2), (second + 1) / (size + 2), size + 2
    z = special.ndtri((1 + confidence) / 2)
    error = z * np.sqrt((more + less - (more - less) ** 2) / size)
    unknown = size <= 2
    low, high = (np.where(unknown, np.nan, np.clip(more - less + sign * error, -1, 1)) for sign in (-1, 1))
    return Interval(low, high)


def at_most(found: int, n: int, confidence: float) -> float | None:
    """Upper end of the exact one-sided interval of a share (Clopper & Pearson 1934); null where n is 0."""
    return float(proportion_confint(found, n, alpha=2 * (1 - confidence), method="beta")[1]) if n else None


def share(found: Floats, n: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(n > 0, found / n, np.nan)
