"""What a planned experiment could find, before anything is spent on it."""

from plumbline_contracts.analyzer import DetectableEffect, DetectableEffectRequest

from .statistics import power

_WIDEST = 4.0  # the scale has 1 to 5


def detectable_effect(request: DetectableEffectRequest) -> DetectableEffect:
    alone, corrected = ((1 - request.confidence) / size for size in (1, request.comparisons))
    return DetectableEffect(
        score=_score(request, alone),
        score_corrected=_score(request, corrected),
        error_rate=power.detectable_rate(request.items, request.discordant, alone, request.power),
        error_rate_corrected=power.detectable_rate(request.items, request.discordant, corrected, request.power),
        assumptions=[
            f"Paired score differences have a standard deviation of {request.standard_deviation:g} points.",
            f"On {request.discordant:.1%} of the items only one of the two arms errs.",
            f"Power {request.power:.0%} at {request.confidence:.0%} confidence, two-sided;"
            f" corrected means Holm's strictest step over {request.comparisons} comparison(s).",
        ],
    )


def _score(request: DetectableEffectRequest, alpha: float) -> float | None:
    effect = power.detectable_score(request.items, request.standard_deviation, alpha, request.power)
    return effect if effect <= _WIDEST else None
