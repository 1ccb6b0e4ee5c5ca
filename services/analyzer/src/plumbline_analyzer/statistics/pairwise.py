"""Win rates and strengths from verdicts on pairs, as logistic models with errors clustered by item."""

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, special
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from .agreement import Value
from .bootstrap import Floats

UNKNOWN = Value(np.nan, np.nan, np.nan)


class Verdicts(NamedTuple):
    """One row per decided verdict. `score`: 1 where `first` won, 0.5 for a tie, 0 where `second` won."""

    item: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    score: Floats


def length_controlled(item: NDArray[np.int64], score: Floats, longer: Floats, confidence: float) -> Value:
    """Win rate at equal length: the GLM of AlpacaEval 2 (Dubois et al. 2024), preference ~ model + tanh(length).

    `longer` is the first response's length minus the second's. AlpacaEval's third term, the difficulty of each of its
    own instructions, is known for those only and left out; so is its shrinkage.
    """
    spread = longer.std()
    if len(score) < 3 or spread == 0:
        return UNKNOWN
    fitted = _fit(np.column_stack([np.ones(len(score)), np.tanh(longer / spread)]), score, item)
    if fitted is None:
        return UNKNOWN
    z = special.ndtri((1 + confidence) / 2)
    middle, error = fitted[0][0], np.sqrt(fitted[1][0, 0])
    return Value(*(float(special.expit(middle + sign * z * error)) for sign in (0, -1, 1)))


def strengths(verdicts: Verdicts, arms: int, confidence: float) -> list[Value]:
    """Bradley-Terry log strengths with mean 0. None is known unless wins lead from every arm to every other."""
    taking_part = np.unique(np.concatenate([verdicts.first, verdicts.second]))
    found = [UNKNOWN] * arms
    if len(taking_part) < 2 or not _connected(verdicts, arms, taking_part):
        return found
    place = np.full(arms, -1)
    place[taking_part] = np.arange(len(taking_part))
    size, rows = len(taking_part), np.arange(len(verdicts.score))
    design = np.zeros((len(rows), size))
    np.add.at(design, (rows, place[verdicts.first]), 1)
    np.add.at(design, (rows, place[verdicts.second]), -1)
    fitted = _fit(design[:, 1:], verdicts.score, verdicts.item)
    if fitted is None:
        return found
    centre = (np.eye(size) - 1 / size)[:, 1:]
    values, errors = centre @ fitted[0], np.sqrt(np.diag(centre @ fitted[1] @ centre.T))
    z = special.ndtri((1 + confidence) / 2)
    for arm, value, error in zip(taking_part, values, errors, strict=True):
        found[arm] = Value(float(value), float(value - z * error), float(value + z * error))
    return found


def _connected(verdicts: Verdicts, arms: int, taking_part: NDArray[np.int64]) -> bool:
    won = np.zeros((arms, arms))
    np.add.at(won, (verdicts.first, verdicts.second), verdicts.score)
    np.add.at(won, (verdicts.second, verdicts.first), 1 - verdicts.score)
    won = won[np.ix_(taking_part, taking_part)]
    return int(sparse.csgraph.connected_components(won, connection="strong")[0]) == 1


def _fit(design: Floats, score: Floats, item: NDArray[np.int64]) -> tuple[Floats, Floats] | None:
    """Coefficients and their covariance; null where there is no finite estimate."""
    if len(np.unique(item)) < 2:
        return None
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a tie as half a win is no count; separation is looked for below
        model = GLM(score, design, family=Binomial())
        fitted = model.fit(cov_type="cluster", cov_kwds={"groups": item})
        coefficients, covariance = np.asarray(fitted.params), np.asarray(fitted.cov_params())
    separated = np.abs(coefficients).max() > 15 or not np.isfinite(covariance).all()
    return None if separated else (coefficients, covariance)
