"""Families of comparisons: Holm's correction over those that were tested."""

import numpy as np

from .bootstrap import Floats


def holm(p: Floats) -> Floats:
    """Adjusted p values (Holm 1979); those without p (nan) are not in the family.

    As statsmodels' multipletests, which collects garbage at every call: half a second in a large process.
    """
    tested, adjusted = np.flatnonzero(~np.isnan(p)), np.full(p.shape, np.nan)
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * steps)) if len(order) else []
    return adjusted
