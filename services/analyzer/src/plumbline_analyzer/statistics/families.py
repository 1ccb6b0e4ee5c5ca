"""Families of comparisons: Holm's correction over those that were tested."""

import numpy as np
from statsmodels.stats.multitest import multipletests

from .bootstrap import Floats


def holm(p: Floats) -> Floats:
    """Adjusted p values (Holm 1979); those without p (nan) are not in the family."""
    tested, adjusted = ~np.isnan(p), np.full(p.shape, np.nan)
    if tested.any():
        adjusted[tested] = multipletests(p[tested], method="holm")[1]
    return adjusted
