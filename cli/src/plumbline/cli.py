"""The `plumbline` command."""

import sys
from typing import Annotated

import stamina
import typer

from . import __version__
from .commands import analyze, attempts, calibrate, conform, diff, down, experiments, export, plan, run, up

_HELP = """Measure how well language models follow instructions, in every language you care about.

\b
plumbline up                               start the services here
plumbline run experiments/quickstart.yaml  run an experiment, see its results
plumbline down                             end the services

\b
Exit codes
  0   done; the experiment completed
  1   the experiment failed; the service does not conform
  2   wrong usage, an invalid experiment file, a refused request
  3   a service does not answer, or did not get ready
  4   there is no such experiment
  5   the experiment was cancelled
  6   anything else: not finished yet, a service failed, a file problem
  7   the experiment is paused; it says what to do
  130 ended by Ctrl-C (an experiment goes on)

\b
Environment
  PLUMBLINE_URL     address of the coordinator, instead of --url
  PLUMBLINE_TOKEN   bearer token of the services
  PLUMBLINE_HOME    folder of everything that is kept, instead of --home
"""

app = typer.Typer(
    help=_HELP, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=True, rich_markup_mode="rich"
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"plumbline {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options before any command."""


app.command()(up.up)
app.command()(down.down)
app.command()(run.run)
app.command()(plan.plan)
app.command()(run.watch)
app.command("list")(experiments.list_all)
app.command()(experiments.status)
app.command()(experiments.cancel)
app.command()(attempts.pause)
app.command()(attempts.resume)
app.command()(attempts.retry)
app.command()(experiments.report)
app.command()(export.export)
app.command()(diff.diff)
app.command()(analyze.analyze)
app.command()(conform.conform)
app.command()(calibrate.calibrate)


def main() -> None:
    stamina.instrumentation.set_on_retry_hooks([])  # a retry is no news for people
    sys.exit(app())
