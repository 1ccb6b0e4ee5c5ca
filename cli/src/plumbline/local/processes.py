"""Start a service as a process of its own session, find it again by pid and start time, end it."""

import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil
from pydantic import BaseModel, ValidationError

from .services import LocalService

# The start time is computed from the clock, which may be corrected in between.
_CLOCK_SLACK_S = 2.0
_POLL_S = 0.1


class Record(BaseModel):
    """What `run/<service>.json` holds. The start time tells the process from a later one with the same pid."""

    pid: int
    started: float
    url: str


class RunFolder:
    """`HOME/run`: a log and, while it runs, a record per service."""

    def __init__(self, home: Path) -> None:
        self.path = home / "run"

    def log(self, name: str) -> Path:
        return self.path / f"{name}.log"

    def record(self, name: str) -> Record | None:
        """The record of a service that runs."""
        try:
            record = Record.model_validate_json(self._file(name).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        return record if process_of(record) else None

    def write(self, name: str, record: Record) -> None:
        self._file(name).write_text(record.model_dump_json() + "\n", encoding="utf-8")

    def forget(self, name: str) -> None:
        self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self.path / f"{name}.json"


def process_of(record: Record) -> psutil.Process | None:
    """The recorded process if it still runs, never another one under its pid."""
    with suppress(psutil.Error):
        process = psutil.Process(record.pid)
        if abs(process.create_time() - record.started) <= _CLOCK_SLACK_S and _alive(process):
            return process
    return None


def start(
    service: LocalService, environment: Mapping[str, str], folder: RunFolder
) -> tuple[subprocess.Popen[bytes], int]:
    """The process, and where its lines begin in the log. It outlives this command and its terminal."""
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.log(service.name).open("ab") as log:
        position = log.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", service.module],
            env={**environment, f"{service.name.upper()}_PORT": str(service.port)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with suppress(psutil.NoSuchProcess):  # it may have died at once; waiting for it will tell
        started = psutil.Process(process.pid).create_time()
        folder.write(service.name, Record(pid=process.pid, started=started, url=service.url))
    return process, position


def stop(processes: Iterable[psutil.Process], grace: float) -> list[psutil.Process]:
    """SIGTERM, and SIGKILL to what is left after `grace` seconds, children too. Returns what had to be killed."""
    family, parents = [], []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            family += [process, *process.children(recursive=True)]
            parents.append(process)
            process.terminate()
    deadline = time.monotonic() + grace
    while any(map(_alive, parents)) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    left = [process for process in family if _alive(process)]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    while any(map(_alive, left)):
        time.sleep(_POLL_S)
    return [process for process in left if process in parents]


def _alive(process: psutil.Process) -> bool:
    # A process that ended but was not collected by its parent still has a pid.
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
