"""The cumulative link model with one factor: do the arms differ when scores are only ordered? Clustered by item.

statsmodels' OrderedModel fits the same likelihood row by row; this one needs only the counts of arms x scores, and
takes the same time for a million rows as for a thousand.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

Floats = NDArray[np.float64]


class Contrast(NamedTuple):
    """Log odds of a higher score, arm against baseline."""

    log_odds: float
    error: float


class CumulativeLink:
    """Proportional odds (McCullagh 1980): logit P(score <= k) = threshold k - effect of the arm; arm 0 has effect 0."""

    def __init__(self, scores: Floats) -> None:
        """`scores` is arms x items with nan for missing; every distinct value is a category."""
        self.levels = np.unique(scores[~np.isnan(scores)])
        self.codes = np.where(np.isnan(scores), -1, np.searchsorted(self.levels, scores))
        counts = np.stack([(self.codes == level).sum(1) for level in range(len(self.levels))], axis=1)
        self.arms = np.flatnonzero(counts.sum(1))
        self._counts = counts[self.arms]
        self._fit()

    @property
    def _thresholds(self) -> int:
        return len(self.levels) - 1

    def _fit(self) -> None:
        shares = np.cumsum(self._counts.sum(0))[:-1] / self._counts.sum()
        start = np.concatenate([special.logit(shares), np.zeros(len(self.arms) - 1)])
        fitted = optimize.minimize(self._loss, start, method="trust-exact", jac=True, hess=self._hessian)
        self.fitted = bool(np.isfinite(fitted.fun)) and bool(np.all(np.diff(fitted.x[: self._thresholds]) > 0))
        self.parameters: Floats = fitted.x
        self.covariance = self._sandwich()

    def _pieces(self, parameters: Floats) -> tuple[Floats, Floats]:
        """Probability of every arm x level, and its derivative by every parameter: arms x levels x parameters."""
        thresholds, effects = np.split(parameters, [self._thresholds])
        cumulative = special.expit(thresholds - np.concatenate([[0.0], effects])[:, None])
        slope = cumulative * (1 - cumulative)
        probability = np.diff(cumulative, axis=1, prepend=0, append=1)
        by_threshold = slope[:, :, None] * np.eye(self._thresholds)
        by_effect = -slope[:, :, None] * np.eye(len(self.arms))[:, None, 1:]
        by_cut = np.concatenate([by_threshold, by_effect], axis=2)
        return np.maximum(probability, 1e-300), np.diff(by_cut, axis=1, prepend=0, append=0)

    def _loss(self, parameters: Floats) -> tuple[float, Floats]:
        probability, derivative = self._pieces(parameters)
        if np.any(np.diff(parameters[: self._thresholds]) <= 0):
            return np.inf, np.zeros_like(parameters)
        total = self._counts.sum()
        gradient = -np.einsum("al,alp->p", self._counts / probability, derivative)
        return -float((self._counts * np.log(probability)).sum() / total), gradient / total

    def _hessian(self, parameters: Floats) -> Floats:
        """By central differences of the gradient, which is exact and cheap."""
        step = 1e-5
        columns = [
            (self._loss(parameters + step * unit)[1] - self._loss(parameters - step * unit)[1]) / (2 * step)
            for unit in np.eye(len(parameters))
        ]
        return (np.array(columns) + np.array(columns).T) / 2

    def _sandwich(self) -> Floats:
        """Covariance robust to the answers to one item being alike: the scores are summed per item."""
        probability, derivative = self._pieces(self.parameters)
        contribution = derivative / probability[:, :, None]
        contribution = np.concatenate([contribution, np.zeros_like(contribution[:, :1])], axis=1)  # code -1: missing
        codes = self.codes[self.arms]
        per_item = sum(contribution[arm][codes[arm]] for arm in range(len(self.arms)))
        items = int((codes >= 0).any(0).sum())
        bread = np.linalg.pinv(self._hessian(self.parameters) * self._counts.sum())
        return np.asarray(bread @ (per_item.T @ per_item) @ bread * (items / max(items - 1, 1)))

    def contrast(self, arm: int, baseline: int) -> Contrast | None:
        """None where either has no score, or scores do not vary."""
        if not self.fitted or not {arm, baseline} <= set(self.arms.tolist()):
            return None
        weights = np.zeros(len(self.parameters))
        for which, sign in ((arm, 1), (baseline, -1)):
            place = int(np.searchsorted(self.arms, which))
            if place:
                weights[self._thresholds + place - 1] += sign
        error = math.sqrt(max(0.0, float(weights @ self.covariance @ weights)))
        return Contrast(float(weights @ self.parameters), error) if np.isfinite(error) and error > 0 else None
