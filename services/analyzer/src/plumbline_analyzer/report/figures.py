"""Figures as inline SVG: dots with intervals, labelled directly, drawn the same way every time.

Colours are written as CSS variables, so that the page decides them for light, dark and print.
"""

import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ..detectors.verdict import excerpt

# Stand-ins that no other part of a drawing uses; `_themed` replaces them.
_INK, _FAINT = "#010203", "#010204"
_ARMS = tuple(f"#0102{10 + i:02d}" for i in range(8))
_MARKERS = "osD^vPXh"
_WIDTH, _ROW, _CHARACTER = 4.7, 0.215, 0.08  # inches
_LONGEST_LABEL = 26


class Row(NamedTuple):
    """One dot. `arm` is the arm's position in the experiment, which gives the dot its colour and shape."""

    label: str
    arm: int
    value: float | None
    low: float | None
    high: float | None


class Group(NamedTuple):
    title: str
    rows: list[Row]


class Axis(NamedTuple):
    low: float
    high: float
    ticks: Sequence[float]
    show: Callable[[float | None], str]
    show_tick: Callable[[float], str]


def dots(groups: list[Group], axis: Axis, description: str) -> Markup:
    """One dot a row; where there is no value, an en dash says so."""
    lines = sum(len(group.rows) + 1.6 for group in groups)
    height = _ROW * lines + 0.35
    longest = max(len(_short(row.label)) for group in groups for row in group.rows)
    left = min(0.45, (_CHARACTER * longest + 0.15) / _WIDTH)
    with mpl.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "plumbline", "font.size": 10.5, "text.parse_math": False}
    ):
        figure = Figure(figsize=(_WIDTH, height))
        axes = figure.add_axes((left, 0.3 / height, 0.87 - left, 1 - 0.3 / height))
        _draw(axes, groups, axis, lines)
        return _svg(figure, description)


def _draw(axes: Axes, groups: list[Group], axis: Axis, lines: float) -> None:
    axes.set_xlim(axis.low, axis.high)
    axes.set_ylim(lines, 0)
    axes.set_yticks([])
    axes.set_xticks(list(axis.ticks), [axis.show_tick(tick) for tick in axis.ticks])
    axes.tick_params(axis="x", colors=_INK, length=0, labelsize=9.5)
    axes.set_frame_on(False)
    for tick in axis.ticks:
        axes.axvline(tick, color=_FAINT, linewidth=0.7, zorder=0)
    y = 0.0
    for group in groups:
        y += 0.85
        axes.annotate(group.title, (0, y), xycoords=("figure fraction", "data"), color=_INK, weight="bold")
        for row in group.rows:
            _draw_row(axes, row, axis, y := y + 1)
        y += 0.75


def _draw_row(axes: Axes, row: Row, axis: Axis, y: float) -> None:
    colour = _ARMS[row.arm % len(_ARMS)]
    transform = axes.get_yaxis_transform()
    axes.text(-0.045, y, _short(row.label), transform=transform, ha="right", va="center", color=_INK)
    axes.text(1.03, y, axis.show(row.value), transform=transform, ha="left", va="center", color=_INK)
    if row.low is not None and row.high is not None:
        axes.plot([row.low, row.high], [y, y], color=colour, linewidth=2, solid_capstyle="butt", clip_on=False)
    if row.value is not None:
        marker = _MARKERS[row.arm % len(_MARKERS)]
        axes.plot([row.value], [y], marker=marker, markersize=6.5, color=colour, markeredgewidth=0, clip_on=False)


def _short(label: str) -> str:
    return excerpt(label, _LONGEST_LABEL)


def _svg(figure: Figure, description: str) -> Markup:
    buffer = io.StringIO()
    FigureCanvasSVG(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the browser has its own fonts
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*">', "<g>", text)  # several figures share a page; these ids name nothing
    text = re.sub(r"<g>\s*<path d=\"[^\"]*\" style=\"fill: #ffffff\"/>\s*</g>", "", text, count=1)
    text = re.sub(r"'DejaVu Sans'[^;\"<]*", "inherit", text)
    text = re.sub(r' width="[^"]*pt"| height="[^"]*pt"', "", text, count=2)
    return Markup(_themed(text).replace("<svg", f'<svg role="img" aria-label="{escape(description)}"', 1))  # noqa: S704


def _themed(text: str) -> str:
    names = {_INK: "--ink", _FAINT: "--line"} | {colour: f"--arm{i}" for i, colour in enumerate(_ARMS)}
    return re.sub("|".join(names), lambda match: f"var({names[match[0]]})", text)
