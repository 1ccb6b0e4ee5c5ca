"""The results of an experiment as tables that fit a terminal."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from plumbline_contracts.analyzer import AnalysisResponse, AspectMean, Detector, EarlyStop, ErrorRate
from plumbline_contracts.common import Info
from rich import box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from .judge_tables import judging
from .terminal import plain

_CRITICAL = {
    Detector.INFINITE_LOOP: "loop",
    Detector.UNINTENDED_CODE: "code",
    Detector.WRONG_LANGUAGE: "language",
}
_MOST_CAUSES = 5
Value = TypeVar("Value")
Cells = Mapping[tuple[str, str, str], str]


def results(analysis: AnalysisResponse, services: Mapping[str, Info], console: Console) -> RenderableType:
    """Mean scores per judge, rates of critical errors, findings."""
    parts: list[RenderableType] = []
    for judge in _unique(mean.judge for mean in analysis.means):
        means = [mean for mean in analysis.means if mean.judge == judge]
        parts += [Text(_title(judge, services.get(f"judge:{judge}")), "bold"), *_means(means, console), Text()]
    parts += judging(analysis)
    rates = [rate for rate in analysis.error_rates if rate.detector in _CRITICAL]
    if rates:
        parts += [Text("Critical errors, % of the responses that could be decided", "bold"), *_rates(rates, console)]
    if analysis.early_stops:
        parts += [Text("Loops ended early, % of the responses, and the tokens that saved, % of all", "bold")]
        parts += _early_stops(analysis.early_stops, console)
    if analysis.findings:
        parts += [Text(), Text("Findings", "bold"), *(Text(plain(f"- {finding}")) for finding in analysis.findings)]
    return Group(*parts)


def _title(judge: str, info: Info | None) -> str:
    if info is None:
        return f"Mean scores (1-5), judge {judge!r}"
    model = f"model {info.model}" if info.model else "no model is involved"
    return plain(f"Mean scores (1-5), judge {judge!r}: {info.implementation}, {model}")


def _means(means: Sequence[AspectMean], console: Console) -> list[RenderableType]:
    cells = {(mean.arm, mean.language, mean.aspect): _mean(mean) for mean in means}
    sizes = [mean.n for mean in means]
    note = f"n = {min(sizes)}" if min(sizes) == max(sizes) else f"n = {min(sizes)} to {max(sizes)}"
    causes = Counter[str]()
    for mean in means:
        causes.update(mean.missing)
    notes = [
        Text(plain(f"{count} without a score (*): {cause}"), "dim") for cause, count in causes.most_common(_MOST_CAUSES)
    ]
    if causes:
        note += "; the report has the bounds for missing scores (*)"
    return [*_grid(cells, {}, console), Text(note, "dim"), *notes]


def _mean(mean: AspectMean) -> str:
    return ("-" if mean.mean is None else f"{mean.mean:.2f}") + ("*" if any(mean.missing.values()) else "")


def _rates(rates: Sequence[ErrorRate], console: Console) -> list[RenderableType]:
    cells = {
        (rate.arm, rate.language, rate.detector.value): "-" if rate.rate is None else f"{100 * rate.rate:.1f}"
        for rate in rates
    }
    return _grid(cells, {detector.value: name for detector, name in _CRITICAL.items()}, console)


def _early_stops(early_stops: Sequence[EarlyStop], console: Console) -> list[RenderableType]:
    cells: dict[tuple[str, str, str], str] = {}
    for one in early_stops:
        cells[one.arm, one.language, "ended"] = f"{100 * one.ended / one.n:.1f}" if one.n else "-"
        cells[one.arm, one.language, "saved"] = "-" if one.saved is None else f"{100 * one.saved:.1f}"
    return _grid(cells, {}, console)


def _grid(cells: Cells, names: Mapping[str, str], console: Console) -> list[RenderableType]:
    """Arms as rows, languages as groups of columns; where that is too wide, a table per language."""
    languages = _unique(language for _, language, _ in cells)
    whole = _table(cells, languages, names)
    wanted = Measurement.get(console, console.options.update(max_width=10_000), whole).maximum
    if wanted <= console.width:
        return [whole]
    return [_table(cells, [language], names) for language in languages]


def _table(cells: Cells, languages: Sequence[str], names: Mapping[str, str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("arm", no_wrap=True, vertical="bottom")
    columns = []
    for language in languages:
        columns += (group := _unique((language, aspect) for _, here, aspect in cells if here == language))
        for index, (_, aspect) in enumerate(group):
            header = Text.assemble(
                (language if index == 0 else "", "bold cyan"), "\n", plain(names.get(aspect, aspect))
            )
            table.add_column(header, justify="right", no_wrap=True)
    for arm in _unique(arm for arm, _, _ in cells):
        table.add_row(Text(plain(arm)), *(cells.get((arm, *column), "") for column in columns))
    return table


def _unique(values: Iterable[Value]) -> list[Value]:
    return list(dict.fromkeys(values))
