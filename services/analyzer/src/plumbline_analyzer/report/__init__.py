"""The report: one page that asks nothing of the network and runs no script, and a folder of its parts."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from .. import __version__, detectors, wording
from ..comparisons import pairs
from ..findings import Result, shown
from ..results import Numbers
from ..table import Table
from . import charts, examples, sheets
from .figures import Drawing, inline, save


class Contents(NamedTuple):
    numbers: Numbers
    results: list[Result]
    doubts: list[str]


class Figures(NamedTuple):
    """By judge where they are about scores."""

    scores: dict[str, list[Drawing]]
    distributions: dict[str, list[Drawing]]
    forest: dict[str, list[Drawing]]
    lengths: dict[str, list[Drawing]]
    errors: list[Drawing]
    heat: list[Drawing]

    def all(self) -> Iterator[Drawing]:
        for group in (self.scores, self.distributions, self.forest, self.lengths):
            for drawings in group.values():
                yield from drawings
        yield from (*self.errors, *self.heat)


def figures(table: Table, numbers: Numbers) -> Figures:
    judges = [judge for judge, measures in table.aspects.items() if measures]
    return Figures(
        scores={judge: list(charts.scores(table, numbers.means, judge)) for judge in judges},
        distributions={judge: list(charts.distributions(table, judge)) for judge in judges},
        forest={judge: list(charts.forest(table, numbers.differences, judge)) for judge in judges},
        lengths={judge: list(charts.lengths(table, judge)) for judge in judges},
        errors=list(charts.errors(table, numbers.error_rates)),
        heat=list(charts.heat(table, numbers.error_rates)),
    )


def render(table: Table, contents: Contents, drawn: Figures) -> str:
    """Model output is untrusted: everything is escaped but the style sheet and the figures, which escape their own."""
    loader = PackageLoader(__package__, ".")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": wording.number,
        "signed": wording.signed,
        "percent": wording.percent,
        "probability": wording.probability,
        "counted": wording.counted,
        "plain": wording.plain,
        "language": wording.language_name,
        "listed": wording.listed,
        "margin": sheets.with_margin,
        "shown": shown,
        "drawn": inline,
    }
    request = table.request
    return environment.get_template("report.html.j2").render(
        request=request,
        contents=contents,
        numbers=contents.numbers,
        figures=drawn,
        style=Markup(loader.get_source(environment, "report.css")[0]),  # noqa: S704  ours
        baselines={table.arms[pair.baseline] for pair in pairs(request)},
        judges={judge.name: judge for judge in request.judges},
        items={language: len(table.items_of(place)) for place, language in enumerate(table.languages)},
        critical=wording.CRITICAL,
        examples=examples.select(table),
        detectors_version=detectors.VERSION,
        version=__version__,
    )


def write(page: str, table: Table, contents: Contents, drawn: Figures, folder: Path) -> None:
    """report.html, tables/*.csv, tables/*.tex, figures/*.svg and figures/*.pdf."""
    (folder / "report.html").write_text(page, encoding="utf-8")
    for name in ("tables", "figures"):
        (folder / name).mkdir()
    for sheet in sheets.sheets(table.request, contents.numbers):
        sheets.write(sheet, folder / "tables")
    for drawing in drawn.all():
        save(drawing, folder / "figures")
