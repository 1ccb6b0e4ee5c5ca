"""`plumbline calibrate`: how far can a judge be trusted?"""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from plumbline_contracts.calibrating import CalibrationResponse
from plumbline_contracts.results import Estimate
from rich.progress import Progress, TaskID
from rich.table import Table

from ..calibrating import gold as gold_sets
from ..calibrating.asking import MEAN, spread
from ..calibrating.calibration import Calibrating
from ..calibrating.gold import GoldItem
from ..files import whole
from ..options import Json, Token
from ..terminal import Terminal, plain, reporting


def calibrate(
    judge: Annotated[str, typer.Option("--judge", metavar="URL", help="Address of the judge.")],
    gold: Annotated[
        list[Path], typer.Option("--gold", metavar="FILE", exists=True, help="CSV or JSONL; may be repeated.")
    ],
    rubric: Annotated[str | None, typer.Option(help="By default the judge's first.")] = None,
    aspect: Annotated[str, typer.Option(help="An aspect of the rubric, or the mean of all.")] = MEAN,
    criteria: Annotated[
        bool, typer.Option("--criteria", help="Judge every item on the criterion of its own row, not on a rubric.")
    ] = False,
    repeats: Annotated[int, typer.Option(min=1, max=20, help="Times that every item is judged.")] = 2,
    pairs: Annotated[int, typer.Option(min=0, help="Pairs to compare per language, in both orders.")] = 100,
    limit: Annotated[int | None, typer.Option(min=2, help="Items per language, evenly spread over its rows.")] = None,
    analyzer: Annotated[
        str, typer.Option("--analyzer", envvar="PLUMBLINE_ANALYZER_URL", help="Address of the analyzer.")
    ] = "http://127.0.0.1:8005",
    output: Annotated[Path, typer.Option("--output", "-o", help="The calibration, for experiments.")] = Path(
        "calibration.json"
    ),
    report: Annotated[Path, typer.Option("--report", help="The page for people.")] = Path("calibration.html"),
    token: Token = None,
    json: Json = False,
) -> None:
    """Hold a judge against gold labels from 1 to 5, and say what it may and may not be used for.

    A gold set has the columns language, instruction, response, gold, and where
    there are any id, reference and criterion. Rows of two languages with the
    same id are the same item in both. The files of RECON (mJudge) are read as
    they are.

    \b
    plumbline calibrate --judge http://127.0.0.1:8004 --gold gold.csv
    plumbline calibrate --judge http://127.0.0.1:8004 --gold en.jsonl --gold es.jsonl --aspect helpfulness
    plumbline calibrate --judge http://127.0.0.1:8004 --gold en.jsonl --criteria
    """
    if criteria and (rubric is not None or aspect != MEAN):
        raise typer.BadParameter("--criteria takes the place of --rubric and --aspect")
    with reporting(json) as terminal:
        rows = gold_sets.read(gold)
        items = gold_sets.with_criteria(rows) if criteria else rows
        named = ", ".join(path.name for path in gold)
        if left_out := len(rows) - len(items):
            named += f" ({left_out} of {len(rows)} rows have no criterion and are left out)"
            terminal.say(f"Gold: {named}")
        items = _limited(items, limit)
        calibrating = Calibrating(judge, analyzer, token, rubric, criteria, aspect, repeats, pairs, named)
        with Progress(console=terminal.console, transient=True, disable=not terminal.console.is_terminal) as progress:
            tasks: dict[str, TaskID] = {}

            def told(what: str, done: int) -> None:
                if what not in tasks:
                    tasks[what] = progress.add_task(what, total=None)
                progress.advance(tasks[what], done)

            found = asyncio.run(calibrating.run(items, told))
        for path, text in ((output, found.calibration.model_dump_json(indent=2)), (report, found.report)):
            with whole(path.resolve()) as partial:
                partial.write_text(text, encoding="utf-8")
        _tell(found, terminal)
        terminal.say(f"\nCalibration: {output}\nReport: {report.resolve().as_uri()}")
        terminal.data(found.model_copy(update={"report": str(report)}))


def _limited(items: list[GoldItem], limit: int | None) -> list[GoldItem]:
    languages = dict.fromkeys(item.language for item in items)
    return [
        item for language in languages for item in spread([one for one in items if one.language == language], limit)
    ]


def _tell(found: CalibrationResponse, terminal: Terminal) -> None:
    columns = ("language", "n", "unscored", "exact", "within one", "weighted kappa", "bias", "stable", "padding")
    table = Table(*columns, box=None, padding=(0, 2, 0, 0), header_style="bold")
    for one in found.languages:
        shares = [_short(share, "{:.0%}") for share in (one.exact, one.within_one)]
        values = [_short(value, "{:.2f}") for value in (one.kappa, one.bias)]
        probes = [_short(one.stability, "{:.0%}"), _short(one.padding, "{:+.2f}")]
        table.add_row(one.language, str(one.n), str(sum(one.missing.values())), *shares, *values, *probes)
    terminal.show(table)
    for title, sentences in (("It may:", found.may), ("It may not:", found.may_not)):
        terminal.say(f"\n{title}")
        for sentence in sentences or ["(nothing that these items can show)"]:
            terminal.say(plain(f"- {sentence}"))


def _short(one: Estimate, form: str) -> str:
    if one.value is None or one.low is None or one.high is None:
        return "-"
    return f"{form.format(one.value)} [{form.format(one.low)}, {form.format(one.high)}]"
