"""What a planned comparison could find: the minimum detectable effect of the paired tests."""

import math

import numpy as np
from scipy import optimize, special
from statsmodels.stats.power import TTestPower


def detectable_score(items: int, standard_deviation: float, alpha: float, power: float) -> float:
    """Mean paired difference that a two-sided paired t test finds; the permutation test has the same power."""
    effect = TTestPower().solve_power(nobs=items, alpha=alpha, power=power, alternative="two-sided")
    return float(np.asarray(effect).item()) * standard_deviation  # one of its root finders returns an array


def detectable_rate(items: int, discordant: float, alpha: float, power: float) -> float | None:
    """Difference of two paired shares that McNemar's test finds (Connor 1987); null: no difference suffices."""
    critical, wanted = special.ndtri(1 - alpha / 2), special.ndtri(power)

    def lacking(difference: float) -> float:
        needed = critical * math.sqrt(discordant) + wanted * math.sqrt(discordant - difference**2)
        return difference * math.sqrt(items) - float(needed)

    most = discordant
    return None if lacking(most) < 0 else float(optimize.brentq(lacking, 0, most))
