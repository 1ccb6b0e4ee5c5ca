"""`plumbline run` and `plumbline watch`: from an experiment file to its results in the terminal."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from plumbline_contracts.coordinator import Experiment, ExperimentState, SpecCheck, Submission
from plumbline_kit.errors import ProblemError
from pydantic import ValidationError
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from ..client import DEFAULT_URL, PlumblineClient
from ..experiment_file import ExperimentFile
from ..options import HOME, ExperimentId, Home, Json, Patience, Token, Url
from ..progress import PhaseBars
from ..reports import save_report
from ..tables import results
from ..terminal import EXIT_OF_STATE, Terminal, reporting

Report = Annotated[
    Path | None,
    typer.Option("--report", metavar="FILE", help="Where to save the report.", show_default="HOME/reports/ID.html"),
]


class Only(StrEnum):
    JUDGE = "judge"
    ANALYZE = "analyze"


_LARGE_BYTES = 4 * 2**20


def run(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="The experiment file (YAML).")],
    id: Annotated[
        str | None, typer.Option("--id", help="Id of the experiment. By default made of its name and content.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only validate, and say what a run would do.")] = False,
    only: Annotated[
        Only | None, typer.Option("--only", help="Judge or analyze anew what another experiment recorded.")
    ] = None,
    recorded_in: Annotated[
        str | None,
        typer.Option("--from", metavar="ID", help="That experiment, for --only.", show_default="the newest that fits"),
    ] = None,
    no_reuse: Annotated[
        bool, typer.Option("--no-reuse", help="Ask everything anew, also what earlier experiments asked.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start it and return at once.")] = False,
    report: Report = None,
    patience: Patience = 300,
    home: Home = HOME,
    url: Url = DEFAULT_URL,
    token: Token = None,
    json: Json = False,
) -> None:
    """Run an experiment file: upload what it names, start it, watch it, print the results, save the report.

    What earlier experiments asked of the same models and judges is not asked again.
    --only judge needs no generator nor translator, --only analyze the analyzer alone.

    Running an unchanged file again is the same experiment: it goes on, or shows
    what it has. Ctrl-C leaves it running; see `plumbline watch` and `plumbline
    cancel`.

    \b
    plumbline run experiments/quickstart.yaml
    plumbline run experiments/quickstart.yaml --check
    plumbline run my.yaml --only judge --from quickstart-5f0c1a2b
    plumbline run my.yaml --id my-second-try --no-reuse --detach --json
    """
    with reporting(json) as terminal, PlumblineClient(url, token) as client:
        file = ExperimentFile.read(spec)
        chosen = {"reuse": not no_reuse, "only": only and only.value, "recorded_in": recorded_in}
        submission = _with(upload(client, file, terminal), chosen)
        if check:
            tell_check(checked := client.check(submission), terminal)
            terminal.data(checked)
            return
        id = id or _default_id(file, submission)
        known = _known(client, id)
        experiment = client.submit(submission, id)
        _tell_start(experiment, known is not None, terminal)
        if detach:
            terminal.say(f"To watch it: plumbline watch {id}")
            terminal.data({"experiment": experiment.model_dump(mode="json"), "results": None, "report": None})
            return
        follow(client, id, patience, report or home / "reports" / f"{id}.html", terminal)


def watch(
    id: ExperimentId,
    report: Report = None,
    patience: Patience = 300,
    home: Home = HOME,
    url: Url = DEFAULT_URL,
    token: Token = None,
    json: Json = False,
) -> None:
    """Watch an experiment until it ends, then print its results and save its report.

    \b
    plumbline watch quickstart-5f0c1a2b
    """
    with reporting(json) as terminal, PlumblineClient(url, token) as client:
        client.experiment(id)
        follow(client, id, patience, report or home / "reports" / f"{id}.html", terminal)


def follow(client: PlumblineClient, id: str, patience: float, report: Path, terminal: Terminal) -> None:
    """Watch to the end, tell how it went; exits with 1 or 5 when it failed or was cancelled."""
    experiment = _watch(client, id, patience, terminal)
    if experiment.state is not ExperimentState.COMPLETED:
        cause = f": {experiment.cause}" if experiment.cause else "."
        terminal.error(f"Experiment {id} {experiment.state.value}{cause}")
        terminal.data({"experiment": experiment.model_dump(mode="json"), "results": None, "report": None})
        raise typer.Exit(EXIT_OF_STATE[experiment.state])
    analysis = client.results(id)
    terminal.say("")
    terminal.show(results(analysis, client.manifest(id).services, terminal.console))
    saved = save_report(client, id, report, terminal)
    terminal.data(
        {
            "experiment": experiment.model_dump(mode="json"),
            "results": analysis.model_dump(mode="json"),
            "report": str(saved),
        }
    )


def _watch(client: PlumblineClient, id: str, patience: float, terminal: Terminal) -> Experiment:
    last: Experiment | None = None
    away = False

    def waiting(error: ProblemError) -> None:
        nonlocal away
        if not away:
            terminal.say(f"The coordinator at {client.url} went away. Waiting up to {patience:.0f} s for it ...")
        away = True

    try:
        with PhaseBars(terminal) as bars:
            for last in client.watch(id, patience=patience, waiting=waiting):
                if away:
                    terminal.say("The coordinator is back.")
                    away = False
                bars.show(last)
    except KeyboardInterrupt:
        terminal.error(f"Experiment {id} goes on. To watch it: plumbline watch {id}   To end it: plumbline cancel {id}")
        raise typer.Exit(130) from None
    except ProblemError:
        terminal.error(f"Lost sight of experiment {id}; it goes on when the coordinator does: plumbline watch {id}")
        raise
    assert last is not None and last.state in EXIT_OF_STATE | {ExperimentState.COMPLETED: 0}
    return last


def upload(client: PlumblineClient, file: ExperimentFile, terminal: Terminal) -> Submission:
    columns = TextColumn("upload {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    large = any(one.bytes >= _LARGE_BYTES for one in file.files) and terminal.console.is_terminal
    with Progress(*columns, console=terminal.console, disable=not large, transient=True) as progress:
        tasks = {one.path: progress.add_task(one.path, total=one.bytes) for one in file.files}
        return client.submission(file, lambda one, position: progress.update(tasks[one.path], completed=position))


def _with(submission: Submission, chosen: dict[str, Any]) -> Submission:
    try:
        return Submission.model_validate(submission.model_dump() | chosen)
    except ValidationError as error:
        raise ProblemError(422, "invalid-request", "--from needs --only judge or --only analyze.") from error


def _default_id(file: ExperimentFile, submission: Submission) -> str:
    """Another one for every choice, as these are other experiments."""
    marks = [submission.only, submission.recorded_in, None if submission.reuse else "anew"]
    chosen = "-".join(mark for mark in marks if mark)
    return f"{file.default_id}-{chosen}"[:128] if chosen else file.default_id


def _known(client: PlumblineClient, id: str) -> Experiment | None:
    try:
        return client.experiment(id)
    except ProblemError as error:
        if error.status == 404:
            return None
        raise


def _tell_start(experiment: Experiment, known: bool, terminal: Terminal) -> None:
    id = experiment.id
    if not known:
        terminal.say(f"Experiment {id} has started.")
        return
    terminal.say(f"Experiment {id} is known with the same content; it is {experiment.state.value}.")
    if experiment.state in EXIT_OF_STATE:
        terminal.say("To run it anew, give it another --id.")


def tell_check(check: SpecCheck, terminal: Terminal) -> None:
    table = Table("a run would do", "", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for language, count in check.items.items():
        table.add_row(f"instructions in {language}", str(count))
    for name in ("translations", "trainings", "generations", "judgments"):
        table.add_row(name, str(getattr(check, name)))
    terminal.show(table)
    for warning in check.warnings:
        terminal.say(f"Warning: {warning}")
    if not check.warnings:
        terminal.say("The experiment file is valid.")
