"""The paired permutation test, exact: under the null the sign of every item's difference is a coin's."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Floats = NDArray[np.float64]
_LATTICES = (1, 2, 3, 4, 5, 6, 12, 20)
_LONGEST = 60_000  # steps of the lattice that the largest sum may have
_ACCURACY = 1e-12  # of the transform; a smaller p is given as this


def p_values(differences: Floats) -> Floats:
    """Two-sided p of the sum being 0, per column of items x cells; nan is missing, p is nan without any item.

    Differences of scores lie on a lattice (whole points, halves where a panel takes a median), so the distribution of
    the sum over all 2^n signs is the inverse Fourier transform of the product of cosines, and nothing is drawn. Those
    that lie on none are rounded to the finest lattice that is affordable. For differences of 0 and 1 this is McNemar's
    exact test.
    """
    return np.array([_p_value(column[~np.isnan(column)]) for column in differences.T])


def _p_value(differences: Floats) -> float:
    if not len(differences):
        return np.nan
    steps = np.rint(differences * _lattice(differences)).astype(int)
    sizes, counts = np.unique(np.abs(steps[steps != 0]), return_counts=True)
    total, observed = int(sizes @ counts), abs(int(steps.sum()))
    if observed == 0:
        return 1.0
    length = fft.next_fast_len(2 * total + 1, real=True)
    cosines = np.cos(2 * np.pi * np.arange(length) / length)
    with np.errstate(divide="ignore"):
        logarithms = np.log(np.abs(cosines))  # a table, since every angle below is a multiple of the first
    angles, logarithm, flipped = np.arange(length // 2 + 1), np.zeros(length // 2 + 1), np.zeros(length // 2 + 1, bool)
    for size, count in zip(sizes, counts, strict=True):
        places = angles * size % length
        logarithm += count * logarithms[places]
        flipped ^= (cosines[places] < 0) & bool(count % 2)
    characteristic = np.where(flipped, -1, 1) * np.exp(logarithm)
    probabilities = fft.irfft(characteristic, length)
    return float(np.clip(2 * probabilities[observed : total + 1].sum(), _ACCURACY, 1))


def _lattice(differences: Floats) -> float:
    """Steps to a point."""
    for steps in _LATTICES:
        if np.abs(differences * steps - np.rint(differences * steps)).max() < 1e-6:
            return steps
    return float(min(_LATTICES[-1], _LONGEST / np.abs(differences).sum()))
