"""Means corrected for the errors of a judge, with the uncertainty of the scores and of the calibration."""

import warnings
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from plumbline_contracts.analysis import AnalysisRequest, AnalysisSettings, JudgeLabel
from plumbline_contracts.calibration import Calibration, ConfusionCounts, CorrectedMean, JudgeCalibration
from plumbline_contracts.results import Estimate
from plumbline_kit.errors import ProblemError
from scipy import stats

from ..statistics.bootstrap import Floats
from ..table import Measure, Table
from .estimates import LABELS, NOTHING, confusion, label

MEAN = "mean"
VALUES = np.arange(1.0, LABELS + 1)
LOWEST, HIGHEST = VALUES[0], VALUES[-1]
_WHOLE = 0.95  # of the scale: an interval that says next to nothing has no value
_PENALTIES = np.logspace(-6, 4, 41)
_PRIOR = 0.5  # gold items per label, spread over the scores: a confusion that few items did not show is not impossible


def misclassification(scores: Sequence[float], counts: ConfusionCounts, settings: AnalysisSettings) -> Estimate:
    """The mean of the labels that gold would give, however they are distributed.

    Each label that the judge gives is worth h[label], such that the confusion matrix M takes h to the true labels,
    M h = v; for two labels this is (p + q0 - 1) / (q0 + q1 - 1), the estimator of Rogan & Gladen 1978 and of
    arXiv 2511.21140. Where M is hard to invert, h is penalised, and the largest bias that this can make under any
    distribution is added to the interval (bias-aware inference, Armstrong & Kolesar 2018); the penalty is the one of
    the shortest interval. A judge that cannot tell the labels apart so gets the whole scale, and no value.
    """
    seen = np.asarray(counts.confusion, dtype=float)
    gold = seen.sum(1)
    if len(scores) < 2 or (gold == 0).any():
        return NOTHING  # nothing is known of how a label without gold items is judged
    rows = (seen + _PRIOR / LABELS) / (gold + _PRIOR)[:, None]
    judged = np.bincount([label(score) - 1 for score in scores], minlength=LABELS) / len(scores)
    reach = float(stats.norm.ppf((1 + settings.confidence) / 2))
    intervals = [_interval(judged, len(scores), rows, gold, penalty, reach) for penalty in _PENALTIES]
    low, high = min(intervals, key=lambda ends: ends[1] - ends[0])
    low, high = np.clip([low, high], LOWEST, HIGHEST)
    known = high - low < _WHOLE * (HIGHEST - LOWEST)
    return Estimate(value=float((low + high) / 2) if known else None, low=float(low), high=float(high))


def _interval(judged: Floats, n: int, rows: Floats, gold: Floats, penalty: float, reach: float) -> tuple[float, float]:
    """`judged`: share of each label in n scores; `rows`: odds of each score by true label, of so many `gold` items."""
    middle = VALUES.mean()
    worth = middle + np.linalg.solve(rows.T @ rows + penalty * np.eye(LABELS), rows.T @ (VALUES - middle))
    value, bias = judged @ worth, rows @ worth - VALUES
    # As if some scores of every label were there too (Agresti & Coull 1998): few scores that agree are no certainty.
    spread = (n * judged + reach**2 / LABELS) / (n + reach**2)
    of_scores = (spread @ worth**2 - (spread @ worth) ** 2) / n
    of_gold = ((rows @ worth**2 - (rows @ worth) ** 2) / gold).max()  # at most this, whatever the true labels are
    error = reach * float(np.sqrt(max(0.0, of_scores + of_gold)))
    return float(value - bias.max() - error), float(value - bias.min() + error)


def rectified(scores: Sequence[float], counts: ConfusionCounts, settings: AnalysisSettings) -> Estimate:
    """Prediction-powered mean (Angelopoulos et al., Science 2023): mean score + mean of gold - score."""
    if len(scores) < 2 or counts.n < 2:
        return NOTHING
    mean = float(np.mean(scores)) + counts.residual_mean
    error = float(np.sqrt(np.var(scores, ddof=1) / len(scores) + counts.residual_variance / counts.n))
    reach = error * float(stats.norm.ppf((1 + settings.confidence) / 2))
    return Estimate(value=mean, low=mean - reach, high=mean + reach)


METHODS = {"misclassification": misclassification, "rectified": rectified}


def counted(scores: Sequence[float], gold: Sequence[int]) -> ConfusionCounts:
    """What both corrections need of the gold items of one language."""
    residual = np.asarray(gold, dtype=float) - np.asarray(scores, dtype=float)
    return ConfusionCounts(
        confusion=confusion(scores, gold).tolist(),
        n=len(scores),
        residual_mean=float(residual.mean()) if len(scores) else 0.0,
        residual_variance=float(residual.var(ddof=1)) if len(scores) > 1 else 0.0,
    )


def corrected_means(table: Table) -> list[CorrectedMean]:
    """Of every arm and language for which a calibration holds. Raises the problem `calibration-of-another-judge`."""
    found = []
    for given in table.request.calibrations:
        _is_of(given.calibration, _label(table.request, given))
        found += list(_corrected(table, given))
    return found


def _label(request: AnalysisRequest, given: JudgeCalibration) -> JudgeLabel:
    for judge in request.judges:
        if judge.name == given.judge:
            return judge
    names = ", ".join(judge.name for judge in request.judges) or "none"
    raise ProblemError(422, "invalid-request", f"calibrations: there is no judge {given.judge!r}; there are: {names}.")


def _is_of(calibration: Calibration, judge: JudgeLabel) -> None:
    if (calibration.implementation, calibration.model) != (judge.implementation, judge.model):
        of = f"{calibration.implementation} (model {calibration.model})"
        detail = (
            f"The calibration is of {of}, the judge {judge.name!r} is {judge.implementation} (model {judge.model})."
        )
        raise ProblemError(422, "calibration-of-another-judge", detail)


def _corrected(table: Table, given: JudgeCalibration) -> Iterator[CorrectedMean]:
    aspect = given.calibration.aspect
    values = _values(table.aspects[given.judge], aspect)
    if values is None:
        return
    for place, language in enumerate(table.languages):
        counts = given.calibration.languages.get(language)
        for arm, name in enumerate(table.arms):
            scores = values[place, arm][~np.isnan(values[place, arm])]
            if counts is not None and len(scores):
                estimate = METHODS[given.method](scores.tolist(), counts, table.request.settings)
                yield CorrectedMean(
                    judge=given.judge,
                    arm=name,
                    language=language,
                    aspect=aspect,
                    method=given.method,
                    n=len(scores),
                    gold=counts.n,
                    mean=float(scores.mean()),
                    corrected=estimate.value,
                    low=estimate.low,
                    high=estimate.high,
                )


def _values(measures: Mapping[str, Measure], aspect: str) -> Floats | None:
    """Languages x arms x items of this aspect; `mean` is that of all aspects which an item has."""
    if aspect in measures or aspect != MEAN or not measures:
        return measures[aspect].values if aspect in measures else None
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # an item without any score
        return np.asarray(np.nanmean(np.stack([measure.values for measure in measures.values()]), axis=0))
