"""The report: one self-contained HTML page that asks nothing of the network and runs no script."""

from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plumbline_contracts.analyzer import AspectMean, ErrorRate

from .. import detectors, wording
from ..aggregate import Aggregate, Compared
from ..findings import FEWEST_CHANGED, Result, shown
from . import charts, examples


class Contents(NamedTuple):
    means: list[AspectMean]
    rates: list[ErrorRate]
    differences: list[Compared]
    results: list[Result]
    warnings: list[str]


def render(aggregate: Aggregate, contents: Contents) -> str:
    """Model output is untrusted: everything is escaped but the style sheet and the figures, which escape their own."""
    loader = PackageLoader(__package__, ".")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": wording.number,
        "signed": wording.signed,
        "percent": wording.percent,
        "plain": wording.plain,
        "language": wording.language_name,
        "listed": wording.listed,
        "shown": shown,
    }
    request = aggregate.request
    return environment.get_template("report.html.j2").render(
        request=request,
        contents=contents,
        style=Markup(loader.get_source(environment, "report.css")[0]),  # noqa: S704  ours
        baselines=set(aggregate.baselines.values()),
        fewest_changed=FEWEST_CHANGED,
        judges={judge.name: judge for judge in request.judges},
        items={language: len(aggregate.categories[language]) for language in request.languages},
        score_charts=charts.scores(request, contents.means),
        error_charts=charts.errors(request, contents.rates),
        examples={language: examples.select(aggregate, language) for language in request.languages},
        detectors_version=detectors.VERSION,
    )
