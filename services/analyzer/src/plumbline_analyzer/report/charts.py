"""Which figures the report has, and what each of them shows in words."""

from collections.abc import Iterator, Sequence

import numpy as np
from plumbline_contracts.analyzer import AspectMean, Conclusion, Detector, Difference, ErrorRate

from ..table import HIGHEST, LOWEST, Table
from ..wording import CRITICAL, language_name, number, percent, plain, signed
from . import dots as dotted
from . import shares
from .dots import Axis, Group, Row, dots
from .figures import Drawing

_SCORES = Axis(LOWEST, HIGHEST, (1, 2, 3, 4, 5), number, lambda tick: f"{tick:.0f}")
_SCALES = (0.05, 0.1, 0.25, 0.5, 1.0)
_CLASSES = 5
_FEW_LANGUAGES = 4  # with more, a figure per language would bury what it shows
MOST_ARMS = 12  # more lines in one figure cannot be told apart


def scores(table: Table, means: Sequence[AspectMean], judge: str) -> Iterator[Drawing]:
    """One per language; a judge without any score has none."""
    places = {arm: place for place, arm in enumerate(table.arms)}
    for language in table.languages:
        mine = [mean for mean in means if (mean.judge, mean.language) == (judge, language)]
        groups = [
            Group(plain(aspect), [Row(m.arm, places[m.arm], m.mean, m.low, m.high) for m in mine if m.aspect == aspect])
            for aspect in dict.fromkeys(mean.aspect for mean in mine)
        ]
        if groups:
            title = f"Mean scores in {language_name(language)} by {judge}, with intervals; the table has the numbers"
            name = f"scores-{_slug(table, judge)}-{language}"
            yield Drawing(name, language_name(language), title, lambda p, g=groups: dots(g, _SCORES, p))  # type: ignore[misc]


def forest(table: Table, differences: Sequence[Difference], judge: str) -> Iterator[Drawing]:
    """Paired differences around 0, one figure per language (where those are few) and one over all."""
    places = {arm: place for place, arm in enumerate(table.arms)}
    mine = [one for one in differences if one.judge == judge and one.difference is not None]
    languages = [*table.languages, None] if len(table.languages) <= _FEW_LANGUAGES else [None]
    for language in languages:
        here = [one for one in mine if one.language == language]
        rows = {
            aspect: [_difference(one, places) for one in here if one.aspect == aspect]
            for aspect in dict.fromkeys(one.aspect for one in here)
        }
        axis = dotted.limits([row for group in rows.values() for row in group])
        if axis:
            axis = axis._replace(show=signed)
            groups = [Group(plain(aspect), group) for aspect, group in rows.items()]
            where = language_name(language) if language else "All languages"
            title = f"Paired differences to the baseline, {where}, by {judge}, with intervals around 0"
            name = f"differences-{_slug(table, judge)}-{language or 'all'}"
            yield Drawing(name, where, title, lambda p, g=groups, a=axis: dots(g, a, p))  # type: ignore[misc]


def _difference(one: Difference, places: dict[str, int]) -> Row:
    hollow = one.conclusion not in (Conclusion.HIGHER, Conclusion.LOWER)
    return Row(one.arm, places[one.arm], one.difference, one.low, one.high, hollow)


def errors(table: Table, rates: Sequence[ErrorRate]) -> Iterator[Drawing]:
    """One per language. All share one scale."""
    chosen = charted(rates)
    places = {arm: place for place, arm in enumerate(table.arms)}
    top = max((rate.high or 0 for rate in rates if rate.detector in chosen), default=0)
    scale = next(limit for limit in _SCALES if top <= limit or limit == _SCALES[-1])
    axis = Axis(0, scale, [scale * i / 5 for i in range(6)], percent, lambda tick: f"{100 * tick:g}%")
    for language in table.languages:
        mine = [rate for rate in rates if rate.language == language]
        groups = [
            Group(plain(d), [Row(r.arm, places[r.arm], r.rate, r.low, r.high) for r in mine if r.detector == d])
            for d in chosen
        ]
        if groups:
            title = f"Error rates in {language_name(language)}, with intervals; the table has the numbers"
            yield Drawing(f"errors-{language}", language_name(language), title, lambda p, g=groups: dots(g, axis, p))  # type: ignore[misc]


def charted(rates: Sequence[ErrorRate]) -> list[Detector]:
    """The critical errors, and whatever else was found. Truncation is a setting's doing and would dwarf the rest."""
    drawn = [rate for rate in rates if rate.n and (rate.found or rate.detector in CRITICAL)]
    return [d for d in Detector if d != Detector.TRUNCATED and any(rate.detector == d for rate in drawn)]


def heat(table: Table, rates: Sequence[ErrorRate]) -> Iterator[Drawing]:
    """Arms x languages, one figure per critical error that was found."""
    for detector in charted(rates):
        cells = {(rate.arm, rate.language): rate.rate for rate in rates if rate.detector == detector}
        if any(cells.values()):
            values = [[cells[arm, language] for language in table.languages] for arm in table.arms]
            title = f"Share of responses with {plain(detector)}, arms by languages; the table has the numbers"
            yield Drawing(
                f"heat-{detector.value.replace('_', '-')}",
                plain(detector).capitalize(),
                title,
                lambda p, v=values: shares.heat(table.arms, table.languages, v, p),  # type: ignore[misc]
            )


def distributions(table: Table, judge: str) -> Iterator[Drawing]:
    """How often each score was given, per language, or over all of them where they are many."""
    few = len(table.languages) <= _FEW_LANGUAGES
    places = [[place] for place in range(len(table.languages))] if few else [[*range(len(table.languages))]]
    for place in places:
        where = language_name(table.languages[place[0]]) if few else "All languages"
        groups = []
        for aspect, measure in table.aspects[judge].items():
            nearest = np.rint(measure.values[place])
            counts = [
                [int((nearest[:, arm] == score).sum()) for score in range(1, 6)] for arm in range(len(table.arms))
            ]
            rows = [shares.Spread(arm, line) for arm, line in zip(table.arms, counts, strict=True)]
            groups.append((plain(aspect), rows))
        if groups:
            title = f"Shares of the scores 1 to 5, {where}, by {judge}, per aspect and arm"
            name = f"distribution-{_slug(table, judge)}-{table.languages[place[0]] if few else 'all'}"
            yield Drawing(name, where, title, lambda p, g=groups: shares.spreads(g, p))  # type: ignore[misc]


def lengths(table: Table, judge: str) -> Iterator[Drawing]:
    """Mean score over all aspects against length, in classes of equally many responses."""
    for place, language in enumerate(table.languages):
        measures = list(table.aspects[judge].values())
        if not measures:
            return
        with np.errstate(invalid="ignore"):
            known = np.array([~np.isnan(measure.values[place]) for measure in measures])
            total = np.nansum([measure.values[place] for measure in measures], axis=0)
            mean = np.where(known.any(0), total / np.maximum(1, known.sum(0)), np.nan)
        lines = []
        for arm, name in enumerate(table.arms[:MOST_ARMS]):
            line = _line(name, arm, table.length[place, arm], mean[arm])
            lines += [line] if line else []
        if lines:
            title = f"Mean score over all aspects against response length in {language_name(language)} by {judge}"
            file = f"length-{_slug(table, judge)}-{language}"
            yield Drawing(file, language_name(language), title, lambda p, drawn=lines: shares.lengths(drawn, p))  # type: ignore[misc]


def _line(name: str, arm: int, length: np.ndarray, mean: np.ndarray) -> shares.Line | None:
    known = ~np.isnan(length) & ~np.isnan(mean) & (length > 0)
    if known.sum() < 2 * _CLASSES:
        return None
    order = np.argsort(length[known], kind="stable")
    classes = np.array_split(order, _CLASSES)
    middle = [float(np.median(length[known][part])) for part in classes]
    return shares.Line(name, arm, middle, [float(mean[known][part].mean()) for part in classes])


def _slug(table: Table, judge: str) -> str:
    """A judge as part of a file's name: its place and what letters it has."""
    letters = "".join(c if c.isascii() and c.isalnum() else "-" for c in judge)[:40]
    return f"{list(table.aspects).index(judge) + 1}-{letters}"
