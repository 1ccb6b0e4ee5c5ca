"""`plumbline down`: end the services that `plumbline up` started."""

import os
from typing import Annotated

import psutil
import typer
from plumbline_contracts import coordinator

from ..local.processes import RunFolder, process_of, stop
from ..local.services import local_services
from ..options import HOME, Home, Json
from ..terminal import reporting
from .up import Service, locked, select


def down(
    home: Home = HOME,
    service: Service = None,
    grace: Annotated[float, typer.Option(min=0, help="Seconds to end in order, before SIGKILL.")] = 15,
    json: Json = False,
) -> None:
    """End the services of a home folder. Harmless when none runs; experiments go on at the next `plumbline up`.

    Only processes that `plumbline up` recorded are touched, and never a later
    process under a recorded pid.

    \b
    plumbline down
    plumbline down --service trainer
    """
    with reporting(json) as terminal:
        folder = RunFolder(home.resolve())
        names = [one.name for one in select(local_services(os.environ), service)]
        ended, killed = [], []
        if folder.path.is_dir():
            with locked(folder):
                # The coordinator first, so that it does not see its services vanish.
                for group in ([coordinator.NAME], [name for name in names if name != coordinator.NAME]):
                    found = _running(folder, [name for name in group if name in names])
                    left = stop(found.values(), grace)
                    killed += [name for name, process in found.items() if process in left]
                    ended += list(found)
        if killed:
            terminal.error(f"Had to be killed after {grace:.0f} seconds: {', '.join(killed)}.")
        terminal.say(f"Ended: {', '.join(ended)}." if ended else f"Nothing runs for {folder.path.parent}.")
        terminal.data({"ended": ended, "killed": killed})


def _running(folder: RunFolder, names: list[str]) -> dict[str, psutil.Process]:
    """What runs, by name; what does not is forgotten."""
    found = {}
    for name in names:
        record = folder.record(name)
        process = process_of(record) if record else None
        if process:
            found[name] = process
        folder.forget(name)
    return found
