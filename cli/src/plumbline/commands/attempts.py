"""`plumbline pause`, `resume` and `retry`."""

from typing import Annotated

import typer
from plumbline_contracts.coordinator import ExperimentState
from plumbline_contracts.experiment import Limits
from pydantic import ValidationError

from ..client import DEFAULT_URL, PlumblineClient
from ..options import ExperimentId, Json, Token, Url
from ..terminal import ExitCode, reporting

_PAUSED = (ExperimentState.PAUSED, ExperimentState.CANCELLED)


def pause(id: ExperimentId, url: Url = DEFAULT_URL, token: Token = None, json: Json = False) -> None:
    """Begin nothing more of an experiment until it is resumed; requests under way are still answered and kept.

    \b
    plumbline pause quickstart-5f0c1a2b
    plumbline resume quickstart-5f0c1a2b
    """
    with reporting(json) as terminal, PlumblineClient(url, token) as client:
        experiment = client.pause(id)
        terminal.say(f"Experiment {id} is {experiment.state.value}. To go on: plumbline resume {id}")
        terminal.data(experiment)


def resume(
    id: ExperimentId,
    calls: Annotated[int | None, typer.Option(min=1, help="New limit of requests in all.", show_default=False)] = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="New limit of tokens in all.", show_default=False)] = None,
    hours: Annotated[float | None, typer.Option(help="New limit of hours in all.", show_default=False)] = None,
    url: Url = DEFAULT_URL,
    token: Token = None,
    json: Json = False,
) -> None:
    """Go on with an experiment that is paused or was cancelled, perhaps with other limits than its file gave.

    \b
    plumbline resume quickstart-5f0c1a2b
    plumbline resume quickstart-5f0c1a2b --calls 20000    # it had reached limits.calls
    """
    given = {
        name: most for name, most in {"calls": calls, "tokens": tokens, "hours": hours}.items() if most is not None
    }
    with reporting(json) as terminal, PlumblineClient(url, token) as client:
        try:
            limits = Limits(**given) if given else None
        except ValidationError as error:
            terminal.error(f"--hours must be over 0, is {hours:g}." if hours is not None else str(error))
            raise typer.Exit(ExitCode.USAGE) from None
        before = client.experiment(id)
        experiment = client.resume(id, limits)
        if before.state in _PAUSED:
            terminal.say(f"Experiment {id} goes on where it was. To watch it: plumbline watch {id}")
        else:
            terminal.say(f"Experiment {id} was going on: {experiment.state.value}.")
        terminal.data(experiment)


def retry(
    id: ExperimentId,
    failed: Annotated[
        bool, typer.Option("--failed", help="The items that failed, and what follows from them.")
    ] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    json: Json = False,
) -> None:
    """Do again what failed in an experiment that has ended, and nothing else.

    What has a result keeps it. The analysis is made anew, so the end is that of a run in which nothing failed.

    \b
    plumbline retry quickstart-5f0c1a2b --failed
    plumbline watch quickstart-5f0c1a2b
    """
    with reporting(json) as terminal, PlumblineClient(url, token) as client:
        if not failed:
            terminal.error("Say what to retry: --failed does again the items that failed, and what follows from them.")
            raise typer.Exit(ExitCode.USAGE)
        before = client.experiment(id)
        experiment = client.retry(id)
        if experiment.attempt == before.attempt:
            terminal.say(f"Nothing has failed in experiment {id}; it stays as it is.")
        else:
            terminal.say(f"Experiment {id} does again what failed. To watch it: plumbline watch {id}")
        terminal.data(experiment)
