"""Which figures the report has: mean scores per judge and language, error rates per language."""

from markupsafe import Markup
from plumbline_contracts.analyzer import AnalysisRequest, AspectMean, Detector, ErrorRate

from ..aggregate import HIGHEST, LOWEST
from ..findings import CRITICAL
from ..wording import language_name, number, percent, plain
from .figures import Axis, Group, Row, dots

_SCORES = Axis(LOWEST, HIGHEST, (1, 2, 3, 4, 5), number, lambda tick: f"{tick:.0f}")
_SCALES = (0.05, 0.1, 0.25, 0.5, 1.0)


def scores(request: AnalysisRequest, means: list[AspectMean]) -> dict[str, dict[str, Markup]]:
    """Judge -> language -> figure; judges without any score have none."""
    charts: dict[str, dict[str, Markup]] = {}
    for judge in request.judges:
        for language in request.languages:
            mine = [mean for mean in means if (mean.judge, mean.language) == (judge.name, language)]
            aspects = dict.fromkeys(mean.aspect for mean in mine)
            groups = [
                Group(plain(aspect), [_score(request, m) for m in mine if m.aspect == aspect]) for aspect in aspects
            ]
            if groups:
                title = f"Mean scores in {language_name(language)} by {judge.name}, with intervals"
                charts.setdefault(judge.name, {})[language] = dots(groups, _SCORES, title)
    return charts


def _score(request: AnalysisRequest, mean: AspectMean) -> Row:
    return Row(mean.arm, _position(request, mean.arm), mean.mean, mean.low, mean.high)


def errors(request: AnalysisRequest, rates: list[ErrorRate]) -> dict[str, Markup]:
    """Language -> figure. All share one scale."""
    chosen = charted(rates)
    top = max((rate.high or 0 for rate in rates if rate.detector in chosen), default=0)
    scale = next(limit for limit in _SCALES if top <= limit or limit == _SCALES[-1])
    axis = Axis(0, scale, [scale * i / 5 for i in range(6)], percent, lambda tick: f"{100 * tick:g}%")
    charts = {}
    for language in request.languages:
        mine = [rate for rate in rates if rate.language == language]
        groups = [Group(plain(d), [_rate(request, r) for r in mine if r.detector == d]) for d in chosen]
        if groups:
            charts[language] = dots(groups, axis, f"Error rates in {language_name(language)}, with intervals")
    return charts


def charted(rates: list[ErrorRate]) -> list[Detector]:
    """The critical errors, and whatever else was found. Truncation is a setting's doing and would dwarf the rest."""
    drawn = [rate for rate in rates if rate.n and (rate.found or rate.detector in CRITICAL)]
    return [d for d in Detector if d != Detector.TRUNCATED and any(rate.detector == d for rate in drawn)]


def _rate(request: AnalysisRequest, rate: ErrorRate) -> Row:
    return Row(rate.arm, _position(request, rate.arm), rate.rate, rate.low, rate.high)


def _position(request: AnalysisRequest, name: str) -> int:
    return [arm.name for arm in request.arms].index(name)
