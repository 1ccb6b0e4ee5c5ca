"""`plumbline list`, `status`, `cancel` and `report`."""

from pathlib import Path
from typing import Annotated

import typer
from plumbline_contracts.coordinator import Experiment, ExperimentList, ExperimentQuery, ExperimentState, PhaseState
from rich.table import Table
from rich.text import Text

from ..client import DEFAULT_URL, ENDED, PlumblineClient
from ..options import HOME, ExperimentId, Home, Json, Token, Url
from ..progress import describe, described
from ..reports import save_folder, save_report
from ..terminal import Terminal, plain, reporting


def list_all(
    state: Annotated[list[ExperimentState] | None, typer.Option("--state", help="Only those in this state.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Only those with this in their name.")] = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
    json: Json = False,
) -> None:
    """List the experiments, newest first.

    \b
    plumbline list --state running --state queued
    """
    with reporting(json) as terminal, PlumblineClient(url, token) as client:
        experiments = list(client.experiments(ExperimentQuery(state=state or [], name=name)))
        table = Table("id", "name", "state", "created", "phase", box=None, padding=(0, 2, 0, 0), header_style="bold")
        for one in experiments:
            created = f"{one.created.astimezone():%Y-%m-%d %H:%M}"
            table.add_row(one.id, Text(plain(one.name)), one.state.value, created, _now(one))
        if experiments:
            terminal.show(table)
        else:
            none = "There are no experiments yet. Next: plumbline run experiments/quickstart.yaml"
            terminal.say("No experiment is like that." if state or name else none)
        terminal.data(ExperimentList(experiments=experiments, next=None))


def _now(experiment: Experiment) -> str:
    running = [phase for phase in experiment.phases if phase.state is PhaseState.RUNNING]
    return "" if experiment.state in ENDED else ", ".join(f"{one.name.value} {one.done}/{one.total}" for one in running)


def status(id: ExperimentId, url: Url = DEFAULT_URL, token: Token = None, json: Json = False) -> None:
    """Say how far an experiment is. The exit code is 0 whatever its state: `watch` tells that by its own."""
    with reporting(json) as terminal, PlumblineClient(url, token) as client:
        experiment = client.experiment(id)
        _tell(experiment, terminal)
        terminal.data(experiment)


def cancel(id: ExperimentId, url: Url = DEFAULT_URL, token: Token = None, json: Json = False) -> None:
    """End an experiment before its time. What it has produced so far is kept."""
    with reporting(json) as terminal, PlumblineClient(url, token) as client:
        before = client.experiment(id)
        experiment = client.cancel(id)
        if before.state in ENDED:
            terminal.say(f"Experiment {id} had ended before: {before.state.value}.")
        else:
            terminal.say(f"Experiment {id} is to end; now {experiment.state.value}.")
        terminal.data(experiment)


def report(
    id: ExperimentId,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to save it.", show_default="HOME/reports/ID.html"),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="FOLDER", help="A new folder for the page, tables (CSV, LaTeX) and figures."),
    ] = None,
    home: Home = HOME,
    url: Url = DEFAULT_URL,
    token: Token = None,
    json: Json = False,
) -> None:
    """Save the report of a finished experiment: one self-contained HTML file, and with --folder all its parts."""
    with reporting(json) as terminal, PlumblineClient(url, token) as client:
        if folder is not None:
            saved = save_folder(client.report_folder(id), folder, terminal)
        if folder is None or output is not None:
            saved = save_report(client, id, output or home / "reports" / f"{id}.html", terminal)
        terminal.data({"report": str(saved)})


def _tell(experiment: Experiment, terminal: Terminal) -> None:
    cause = f": {experiment.cause}" if experiment.cause else ""
    terminal.say(f"{experiment.id} ({experiment.name}): {experiment.state.value}{cause}")
    for phase in experiment.phases:
        terminal.say(f"  {phase.name.value:<10} {describe(phase)}")
    for usage in experiment.usage:
        terminal.say(f"  tokens     {described(usage)}")
