"""Figures of shares: how scores are spread, an error heat map, and how scores go with length."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..wording import NONE, percent
from .figures import MARKERS, ROW, WIDTH, Palette, bare, left_of, new_figure, short

_LENGTHS = tuple(first * 10**power for power in range(6) for first in (1, 3))
_SHADES = (0.12, 0.3, 0.5, 0.72, 1.0)


class Spread(NamedTuple):
    """How often each whole score from 1 to 5 was given; others go to the nearest."""

    label: str
    counts: Sequence[int]


def spreads(groups: list[tuple[str, list[Spread]]], palette: Palette) -> Figure:
    """A bar a row, from score 1 (pale) to 5 (full); the number is the share of the highest score."""
    lines = sum(len(rows) + 1.6 for _, rows in groups)
    height = ROW * lines + 0.35
    left = left_of([row.label for _, rows in groups for row in rows])
    figure = new_figure(height)
    axes = figure.add_axes((left, 0.3 / height, 0.87 - left, 1 - 0.3 / height))
    bare(axes, palette)
    axes.set(xlim=(0, 1), ylim=(lines, 0), yticks=[])
    axes.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
    transform, y = axes.get_yaxis_transform(), 0.0
    for title, rows in groups:
        y += 0.85
        axes.annotate(title, (0, y), xycoords=("figure fraction", "data"), color=palette.ink, weight="bold")
        for place, row in enumerate(rows, 1):
            axes.text(
                -0.03, y + place, short(row.label), transform=transform, ha="right", va="center", color=palette.ink
            )
            shares = np.array(row.counts) / max(1, sum(row.counts))
            starts = np.cumsum(shares) - shares
            for start, share, shade in zip(starts, shares, _SHADES, strict=True):
                if share:
                    axes.add_patch(
                        Rectangle((start, y + place - 0.36), share, 0.72, color=palette.arm(1), alpha=shade, lw=0)
                    )
            shown = percent(shares[-1]) if sum(row.counts) else NONE
            axes.text(1.03, y + place, shown, transform=transform, ha="left", va="center", color=palette.ink)
        y += len(rows) + 0.75
    return figure


def heat(rows: list[str], columns: list[str], values: list[list[float | None]], palette: Palette) -> Figure:
    """A cell per row and column with its share written in it; the deeper, the more. A dash: none was decided."""
    left = left_of(rows, width := max(WIDTH, 0.75 * len(columns) + 1.8))
    height = ROW * (1.6 * len(rows) + 3)
    figure = new_figure(height, width)
    axes = figure.add_axes((left, 0.02, 0.99 - left, 1 - 3 * ROW / height))
    bare(axes, palette)
    axes.set(xlim=(0, len(columns)), ylim=(len(rows), 0), yticks=[])
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns)
    axes.xaxis.tick_top()
    top = max([value for line in values for value in line if value], default=1)
    for y, (label, line) in enumerate(zip(rows, values, strict=True)):
        axes.text(-0.1, y + 0.5, short(label), ha="right", va="center", color=palette.ink)
        for x, value in enumerate(line):
            shade = 0.75 * (value or 0) / top
            axes.add_patch(Rectangle((x + 0.03, y + 0.05), 0.94, 0.9, color=palette.arm(2), alpha=shade, lw=0))
            axes.text(x + 0.5, y + 0.5, percent(value), ha="center", va="center", color=palette.ink, size=9.5)
    return figure


class Line(NamedTuple):
    """Mean score per length class; `arm` is the arm's position."""

    label: str
    arm: int
    lengths: list[float]
    means: list[float]


def lengths(lines: list[Line], palette: Palette) -> Figure:
    """Characters (logarithmic) across, mean score up; one line an arm, labelled at its end."""
    figure = new_figure(2.6)
    axes = figure.add_axes((0.07, 0.16, 0.6, 0.8))
    bare(axes, palette)
    axes.set(ylim=(1, 5), xscale="log", yticks=[1, 2, 3, 4, 5])
    longest, shortest = (choose(length for line in lines for length in line.lengths) for choose in (max, min))
    ticks = [tick for tick in _LENGTHS if shortest / 1.5 <= tick <= longest * 1.5]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("characters", color=palette.ink, size=9.5)
    for tick in (1, 2, 3, 4, 5):
        axes.axhline(tick, color=palette.faint, linewidth=0.7, zorder=0)
    for line in lines:
        marker = MARKERS[line.arm % len(MARKERS)]
        axes.plot(line.lengths, line.means, color=palette.arm(line.arm), marker=marker, markersize=5, linewidth=1.6)
    gap = 0.28
    order = sorted(lines, key=lambda line: line.means[-1])
    height = 1.0
    for line in order:
        height = max(height, line.means[-1])
        axes.annotate(
            short(line.label),
            (1.04, height),
            xycoords=axes.get_yaxis_transform(),
            color=palette.arm(line.arm),
            va="center",
            annotation_clip=False,
        )
        height += gap
    return figure
