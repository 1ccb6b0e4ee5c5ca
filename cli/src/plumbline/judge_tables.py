"""What the judges' scores are worth, for a terminal: agreement, conclusions that flip, corrected means."""

from plumbline_contracts.analyzer import AnalysisResponse
from plumbline_contracts.results import Estimate
from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from .terminal import plain


def judging(analysis: AnalysisResponse) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if analysis.agreements:
        parts += [Text("Agreement of judges", "bold"), _agreements(analysis), Text(_flips(analysis), "dim"), Text()]
    if analysis.corrected_means:
        parts += [Text("Means corrected for the judge's errors", "bold"), _corrected(analysis), Text()]
    return parts


def _agreements(analysis: AnalysisResponse) -> Table:
    table = _table("judges", "language", "aspect", "weighted kappa", "alpha", "Spearman", "n")
    for one in analysis.agreements:
        values = [_estimate(value) for value in (one.kappa, one.alpha, one.spearman)]
        table.add_row(f"{one.judge}, {one.other}", one.language, plain(one.aspect), *values, str(one.n))
    return table


def _flips(analysis: AnalysisResponse) -> str:
    """Of the checks of a conclusion by another judge."""
    checks = [
        (difference, check)
        for difference in analysis.differences
        for check in difference.checks
        if check.against.startswith("judge ")
    ]
    told = "; ".join(
        f"{one.arm} against {one.baseline} in {one.language or 'all languages'}, {one.aspect}: {one.conclusion.value}, "
        f"by {check.against} {check.conclusion.value}"
        for one, check in checks
        if check.flips
    )
    count = sum(check.flips for _, check in checks)
    return plain(f"{count} of {len(checks)} conclusions are another by another judge" + (f": {told}" if told else ""))


def _corrected(analysis: AnalysisResponse) -> Table:
    table = _table("judge", "arm", "language", "aspect", "as scored", "corrected", "n", "gold")
    for one in analysis.corrected_means:
        corrected = _estimate(Estimate(value=one.corrected, low=one.low, high=one.high))
        names = [plain(text) for text in (one.judge, one.arm, one.language, one.aspect)]
        table.add_row(*names, f"{one.mean:.2f}", corrected, str(one.n), str(one.gold))
    return table


def _estimate(one: Estimate) -> str:
    value = "-" if one.value is None else f"{one.value:.2f}"
    return value if one.low is None or one.high is None else f"{value} [{one.low:.2f}, {one.high:.2f}]"


def _table(*columns: str) -> Table:
    return Table(*columns, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
