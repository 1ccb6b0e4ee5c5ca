"""`plumbline up`: start the services on this machine and wait until they are ready."""

import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import psutil
import typer
from filelock import FileLock, Timeout
from plumbline_contracts.common import Info
from plumbline_contracts.coordinator import NAME as COORDINATOR
from plumbline_kit.errors import ProblemError
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ..client import DEFAULT_URL
from ..local import readiness
from ..local.logs import last_lines
from ..local.processes import RunFolder, start, stop
from ..local.readiness import AwaitedProcess
from ..local.services import LocalService, environment_for, local_services
from ..options import HOME, Home, Json
from ..terminal import Terminal, plain, reporting

Service = Annotated[str | None, typer.Option("--service", metavar="NAME", help="Only this service.")]
_GRACE_S = 15.0


def up(
    home: Home = HOME,
    service: Service = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds until everything must be ready.")] = 300,
    json: Json = False,
) -> None:
    """Start the services on this machine, wait until they are ready, leave them running.

    Harmless when they run already. Everything is kept under the home folder:
    logs in run/, databases, artifacts, models/ (folders like org/name), argos/
    (translation packages), datasets/. The environment is passed on, so that for
    example TRANSLATOR_ENGINE=echo or JUDGE_PORT=9004 apply. A service whose
    address is set to another one (COORDINATOR_JUDGE_URL=http://...) is not
    started.

    \b
    plumbline up
    plumbline up --home /data/plumbline
    plumbline down --service judge && JUDGE_IMPLEMENTATION=openai plumbline up --service judge
    """
    with reporting(json) as terminal:
        home = home.resolve()
        folder = RunFolder(home)
        everything = local_services(os.environ)
        chosen = [one for one in select(everything, service) if one.elsewhere is None]
        with locked(folder):
            records = {one.name: folder.record(one.name) for one in everything}
            urls = {one.name: record.url if (record := records[one.name]) else one.url for one in everything}
            environment = environment_for(home, urls, os.environ)
            awaited, positions = [], {}
            try:
                for one in chosen:
                    if (record := records[one.name]) is not None:
                        awaited.append(AwaitedProcess(one.name, record.url, None, record.pid))
                        continue
                    refuse_taken_port(one)
                    process, positions[one.name] = start(one, environment, folder)
                    awaited.append(AwaitedProcess(one.name, one.url, process, process.pid))
                _wait(awaited, timeout, terminal)
            except BaseException as error:
                _end_again(awaited, folder, terminal)
                if isinstance(error, readiness.Ended):
                    raise _died(error.service, folder, positions.get(error.service.name, 0)) from None
                raise
        _summary(everything, awaited, terminal)


def select(services: list[LocalService], name: str | None) -> list[LocalService]:
    names = [one.name for one in services]
    if name is not None and name not in names:
        raise ProblemError(422, "unknown-service", f"There is no service {name!r}; there are {', '.join(names)}.")
    return [one for one in services if name in (None, one.name)]


@contextmanager
def locked(folder: RunFolder) -> Iterator[None]:
    """One `up` or `down` at a time per home."""
    folder.path.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder.path / "lock", timeout=0):
            yield
    except Timeout:
        raise ProblemError(
            503, "busy", f"Another `plumbline up` or `down` is at work on {folder.path.parent}."
        ) from None


def refuse_taken_port(service: LocalService) -> None:
    with socket.socket(socket.AF_INET6 if ":" in service.host else socket.AF_INET) as probe:
        probe.settimeout(2)
        if probe.connect_ex((service.host, service.port)) != 0:
            return
    with readiness.http() as client:
        found = readiness.info(client, service.url)
    who = f"a {found.contract} service that another home started" if isinstance(found, Info) else "another program"
    raise ProblemError(
        503,
        "port-taken",
        f"Port {service.port} of the {service.name} is taken by {who}. End it (`make down`, or "
        f"`plumbline down --home ...`), or set {service.name.upper()}_PORT to a free one.",
    )


def _wait(awaited: list[AwaitedProcess], timeout: float, terminal: Terminal) -> None:
    columns = SpinnerColumn(finished_text="✓"), TextColumn("{task.description:<11}"), TimeElapsedColumn()
    live = terminal.console.is_terminal
    with Progress(
        *columns, TextColumn("{task.fields[state]}", markup=False), console=terminal.console, disable=not live
    ) as progress:
        tasks = {one.name: progress.add_task(one.name, total=1, state=one.state) for one in awaited}
        told: dict[str, str] = {}

        def show(one: AwaitedProcess) -> None:
            progress.update(tasks[one.name], completed=int(one.ready), state=plain(one.state)[:200])
            if not live and told.get(one.name) != one.state:
                told[one.name] = one.state
                terminal.say(f"{one.name}: {one.state}")

        readiness.wait(awaited, timeout, show)


def _end_again(awaited: list[AwaitedProcess], folder: RunFolder, terminal: Terminal) -> None:
    """End what this command started, undisturbed by a second Ctrl-C."""
    mine = [one for one in awaited if one.process is not None]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        if mine:
            terminal.error("Not everything could start; ending what was started.")
        # Processes that have ended have no pid to ask about.
        stop([psutil.Process(one.pid) for one in mine if one.exit_status is None], _GRACE_S)
        for one in mine:
            folder.forget(one.name)
    finally:
        signal.signal(signal.SIGINT, before)


def _died(service: AwaitedProcess, folder: RunFolder, position: int) -> ProblemError:
    log, status = folder.log(service.name), service.exit_status
    how = "ended" if service.process is None else f"ended with exit status {status}"
    if service.process is not None and status is not None and status < 0:
        how = f"was ended by {signal.Signals(-status).name}"
    tail = "\n".join(f"  | {line}" for line in last_lines(log, position))
    return ProblemError(503, "service-died", f"The {service.name} {how}. The end of {log}:\n{tail}".rstrip("\n"))


def _summary(everything: list[LocalService], awaited: list[AwaitedProcess], terminal: Terminal) -> None:
    table = Table("service", "URL", "implementation", "model", box=None, padding=(0, 2, 0, 0), header_style="bold")
    rows: list[tuple[str, str, int | None, str | None]] = [(one.name, one.url, one.pid, None) for one in awaited]
    rows += [(one.name, one.elsewhere, None, "not started here") for one in everything if one.elsewhere]
    services = []
    with readiness.http(os.environ.get("PLUMBLINE_TOKEN")) as client:
        for name, url, pid, note in rows:
            found = readiness.info(client, url)
            shown = (found.implementation, found.model or "none") if isinstance(found, Info) else (found, "")
            table.add_row(name, url, *(Text(plain(text)) for text in shown), note or "")
            services.append(
                {
                    "service": name,
                    "url": url,
                    "pid": pid,
                    "started": any(one.name == name and one.process is not None for one in awaited),
                    "info": found.model_dump() if isinstance(found, Info) else None,
                }
            )
    terminal.show(table)
    already = [one.name for one in awaited if one.process is None]
    if already:
        terminal.say(f"Running already: {', '.join(already)}.")
    coordinator = next(one for one in everything if one.name == COORDINATOR)
    address = "" if coordinator.url == os.environ.get("PLUMBLINE_URL", DEFAULT_URL) else f" --url {coordinator.url}"
    command = typed()
    terminal.say(f"Next: {command} run experiments/quickstart.yaml{address}   (to end the services: {command} down)")
    terminal.data({"services": services})


def typed() -> str:
    """What to type for this program: after `make up` few have its folder on their PATH."""
    if shutil.which("plumbline") is not None:
        return "plumbline"
    script, here = Path(sys.executable).with_name("plumbline"), Path.cwd()
    return str(script.relative_to(here) if script.is_relative_to(here) else script)
