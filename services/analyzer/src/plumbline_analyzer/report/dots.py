"""Dots with intervals, labelled directly: scores, rates, and differences around 0."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .figures import MARKERS, ROW, Palette, bare, left_of, new_figure, short


class Row(NamedTuple):
    """One dot. `arm` is the arm's position in the experiment, which gives the dot its colour and shape."""

    label: str
    arm: int
    value: float | None
    low: float | None
    high: float | None
    hollow: bool = False


class Group(NamedTuple):
    title: str
    rows: list[Row]


class Axis(NamedTuple):
    low: float
    high: float
    ticks: Sequence[float]
    show: Callable[[float | None], str]
    show_tick: Callable[[float], str]
    zero: bool = False  # a line at 0


def dots(groups: list[Group], axis: Axis, palette: Palette) -> Figure:
    """One dot a row; where there is no value, the words of `show` say so."""
    lines = sum(len(group.rows) + 1.6 for group in groups)
    height = ROW * lines + 0.35
    left = left_of([row.label for group in groups for row in group.rows])
    figure = new_figure(height)
    axes = figure.add_axes((left, 0.3 / height, 0.87 - left, 1 - 0.3 / height))
    bare(axes, palette)
    axes.set_xlim(axis.low, axis.high)
    axes.set_ylim(lines, 0)
    axes.set_yticks([])
    axes.set_xticks(list(axis.ticks), [axis.show_tick(tick) for tick in axis.ticks])
    for tick in axis.ticks:
        axes.axvline(tick, color=palette.faint, linewidth=0.7, zorder=0)
    if axis.zero:
        axes.axvline(0, color=palette.ink, linewidth=0.9, zorder=0)
    y = 0.0
    placed: list[tuple[float, Row]] = []
    for group in groups:
        y += 0.85
        axes.annotate(group.title, (0, y), xycoords=("figure fraction", "data"), color=palette.ink, weight="bold")
        placed += [(y + place, row) for place, row in enumerate(group.rows, 1)]
        y += len(group.rows) + 0.75
    _draw(axes, placed, axis, palette)
    return figure


def _draw(axes: Axes, placed: list[tuple[float, Row]], axis: Axis, palette: Palette) -> None:
    transform = axes.get_yaxis_transform()
    for y, row in placed:
        axes.text(-0.045, y, short(row.label), transform=transform, ha="right", va="center", color=palette.ink)
        axes.text(1.03, y, axis.show(row.value), transform=transform, ha="left", va="center", color=palette.ink)
    for arm in sorted({row.arm for _, row in placed}):
        mine = [(y, row) for y, row in placed if row.arm == arm and row.value is not None]
        colour, marker = palette.arm(arm), MARKERS[arm % len(MARKERS)]
        ends = [(y, row.low, row.high) for y, row in mine if row.low is not None and row.high is not None]
        if ends:
            axes.hlines(*np.array(ends).T, color=colour, linewidth=2, clip_on=False)
        for hollow in (False, True):
            some = [(row.value, y) for y, row in mine if row.hollow == hollow]
            if some:
                face = {"markerfacecolor": "none", "markeredgewidth": 1.3} if hollow else {"markeredgewidth": 0}
                x, places = zip(*some, strict=True)
                axes.plot(x, places, marker=marker, linestyle="", markersize=6.5, color=colour, clip_on=False, **face)


def limits(rows: Sequence[Row], step: float = 0.5) -> Axis | None:
    """An axis around 0 that holds every interval; none where there is no value."""
    ends = [abs(end) for row in rows for end in (row.low, row.high, row.value) if end is not None]
    if not ends:
        return None
    top = max(step, step * np.ceil(max(ends) / step))
    ticks = [-top, -top / 2, 0.0, top / 2, top]
    return Axis(-top, top, ticks, lambda value: "", lambda tick: f"{tick:g}", zero=True)
