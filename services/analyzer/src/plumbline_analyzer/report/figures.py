"""Figures drawn the same way every time: as SVG within the page, and as SVG and PDF files.

Within the page colours are CSS variables, so that the page decides them for light, dark and print.
"""

import io
import re
import warnings
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ..detectors.verdict import excerpt

WIDTH, ROW = 4.7, 0.215  # inches
_CHARACTER = 0.08
_LONGEST_LABEL = 26
_RC: Any = {"svg.fonttype": "none", "svg.hashsalt": "plumbline", "font.size": 10.5, "text.parse_math": False}
MARKERS = "osD^vPXh"


class Palette(NamedTuple):
    ink: str
    faint: str
    arms: tuple[str, ...]

    def arm(self, place: int) -> str:
        return self.arms[place % len(self.arms)]


# Stand-ins that no other part of a drawing uses; `_coloured` replaces them.
_STAND_INS = Palette("#010203", "#010204", tuple(f"#0102{10 + i:02d}" for i in range(8)))
_VARIABLES = Palette("var(--ink)", "var(--line)", tuple(f"var(--arm{i})" for i in range(8)))
_LIGHT = Palette(
    "#1d2430",
    "#d9dde4",
    ("#5a6475", "#0072b2", "#d55e00", "#009e73", "#c05c9a", "#b8860b", "#2b9bd6", "#7a4fbf"),
)


class Drawing:
    """`name` is a file's; `description` is what a screen reader says. `draw` makes a new figure each time."""

    def __init__(self, name: str, caption: str, description: str, draw: Callable[[Palette], Figure]) -> None:
        self.name, self.caption, self.description, self.draw = name, caption, description, draw

    @cached_property
    def svg(self) -> str:
        """In stand-in colours."""
        buffer = io.StringIO()
        with mpl.rc_context(_RC), _quietly():
            figure = self.draw(_STAND_INS)
            FigureCanvasSVG(figure)
            figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
        return buffer.getvalue()


def new_figure(height: float, width: float = WIDTH) -> Figure:
    return Figure(figsize=(width, height))


def bare(axes: Axes, palette: Palette) -> None:
    axes.set_frame_on(False)
    axes.tick_params(axis="both", colors=palette.ink, length=0, labelsize=9.5)


def short(label: str) -> str:
    return excerpt(label, _LONGEST_LABEL)


def left_of(labels: list[str], width: float = WIDTH) -> float:
    """The share of the width that the longest label takes."""
    longest = max((len(short(label)) for label in labels), default=1)
    return min(0.45, (_CHARACTER * longest + 0.15) / width)


def inline(drawing: Drawing) -> Markup:
    """For the page. Several figures share it, so ids, which name nothing, go."""
    text = drawing.svg[drawing.svg.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    text = re.sub(r"'DejaVu Sans'[^;\"<]*", "inherit", text)
    text = re.sub(r' width="[^"]*pt"| height="[^"]*pt"', "", text, count=2)
    text = _coloured(text, _VARIABLES)
    return Markup(text.replace("<svg", f'<svg role="img" aria-label="{escape(drawing.description)}"', 1))  # noqa: S704


def save(drawing: Drawing, folder: Path) -> None:
    """NAME.svg and NAME.pdf, in the colours of paper."""
    (folder / f"{drawing.name}.svg").write_text(_coloured(drawing.svg, _LIGHT), encoding="utf-8")
    with mpl.rc_context(_RC), _quietly():
        figure = drawing.draw(_LIGHT)
        FigureCanvasPdf(figure)
        figure.savefig(folder / f"{drawing.name}.pdf", metadata={"CreationDate": None, "ModDate": None})


def _quietly() -> "warnings.catch_warnings[None]":
    """A glyph that matplotlib's font lacks is no matter: browsers have fonts."""
    return warnings.catch_warnings(action="ignore", category=UserWarning)


def _coloured(text: str, palette: Palette) -> str:
    stand_ins = (_STAND_INS.ink, _STAND_INS.faint, *_STAND_INS.arms)
    colours = dict(zip(stand_ins, (palette.ink, palette.faint, *palette.arms), strict=True))
    return re.sub("|".join(colours), lambda match: colours[match[0]], text)
