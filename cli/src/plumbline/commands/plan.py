"""`plumbline plan`: what a run would do, cost and could find, before anything is spent."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from plumbline_contracts.planning import Plan, PlannedComparison, PlannedPhase
from rich.table import Table
from rich.text import Text

from ..client import DEFAULT_URL, PlumblineClient
from ..experiment_file import ExperimentFile
from ..options import Json, Token, Url
from ..terminal import Terminal, plain, reporting
from .run import tell_check, upload


def plan(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="The experiment file (YAML).")],
    url: Url = DEFAULT_URL,
    token: Token = None,
    json: Json = False,
) -> None:
    """Say what a run would do, how long it takes, how many tokens, and what difference between arms it could show.

    Times and tokens are those that earlier experiments of this coordinator
    measured with the same services and models. Nothing is run.

    \b
    plumbline plan experiments/quickstart.yaml
    """
    with reporting(json) as terminal, PlumblineClient(url, token) as client:
        planned = client.plan(upload(client, ExperimentFile.read(spec), terminal))
        tell_check(planned.check, terminal)
        _tell_phases(planned, terminal)
        _tell_tokens(planned, terminal)
        _tell_comparisons(planned.comparisons, terminal)
        for note in planned.notes:
            terminal.say(f"Note: {note}")
        terminal.data(planned)


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number, name in enumerate(columns):
        last = number == len(columns) - 1
        table.add_column(name, justify="left" if last or not number else "right", no_wrap=not last)
    return table


def _tell_phases(planned: Plan, terminal: Terminal) -> None:
    table = _table("phase", "items", "cached", "calls", "time", "by")
    for phase in planned.phases:
        table.add_row(phase.phase.value, *_counts(phase), _time(phase.seconds), phase.basis)
    total = sum(phase.calls for phase in planned.phases)
    table.add_row("in all", "", "", str(total), _time(planned.seconds), "")
    terminal.say("")
    terminal.show(table)


def _counts(phase: PlannedPhase) -> list[str]:
    return ["?" if one is None else str(one) for one in (phase.items, phase.cached, phase.calls)]


def _tell_tokens(planned: Plan, terminal: Terminal) -> None:
    table = _table("arm", "responses", "prompt tokens", "response tokens", "at most", "by")
    for arm in planned.tokens:
        counts = [arm.generations, arm.prompt_tokens, arm.completion_tokens, arm.completion_tokens_at_most]
        table.add_row(Text(plain(arm.arm)), *("?" if one is None else f"{one:,}" for one in counts), plain(arm.basis))
    terminal.say("")
    terminal.show(table)


def _tell_comparisons(comparisons: list[PlannedComparison], terminal: Terminal) -> None:
    for one in comparisons:
        terminal.say(
            f"\nJudge {one.judge}, {one.category}: {one.items} items a language show a difference between two arms of"
            f" {_points(one.score)} ({_points(one.score_corrected)} among {one.comparisons} comparisons), if there is"
            f" one, and {_errors(one)}:"
        )
        for assumption in one.assumptions:
            terminal.say(f"  {assumption}")


def _time(seconds: float | None) -> str:
    return "?" if seconds is None else str(timedelta(seconds=round(seconds)))


def _points(difference: float | None) -> str:
    return "no size" if difference is None else f"{difference:.2f} points"


def _errors(one: PlannedComparison) -> str:
    if one.error_rate is None:
        return "none in errors, whatever its size"
    return f"one of {_share(one.error_rate)} ({_share(one.error_rate_corrected)}) in errors"


def _share(difference: float | None) -> str:
    return "no size" if difference is None else f"{100 * difference:.1f} %"
