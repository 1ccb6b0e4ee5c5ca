"""Start a service to see what it says before it is ready."""

import dataclasses
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

import httpx

from .specimens import SPECIMENS
from .target import Target

_PAUSE_S = 0.02


class NotStarted(RuntimeError):
    """The command ended, or its service never said that it is ready; the text has the end of its output."""


@dataclass(frozen=True)
class Seen:
    """An answer while the service started."""

    path: str
    status: int
    media_type: str


@contextmanager
def started(command: str, target: Target, seconds: float, log: IO[bytes]) -> Iterator[list[dict[str, object]]]:
    """Run `command` until the block ends. Yields every answer of `/readyz` up to the first 200, then that of a request
    sent at once. Raises NotStarted."""
    process = subprocess.Popen(
        shlex.split(command), stdout=log, stderr=subprocess.STDOUT, start_new_session=True, env=_environment(target.url)
    )
    try:
        with httpx.Client(base_url=target.url, headers=target.headers, timeout=30, trust_env=False) as client:
            yield [dataclasses.asdict(one) for one in _watch(process, client, target, seconds)]
    except NotStarted as error:
        log.seek(max(0, log.seek(0, os.SEEK_END) - 2000))
        raise NotStarted(f"{error}\n{log.read().decode(errors='replace')}") from error
    finally:
        _end(process)


def _environment(url: str) -> dict[str, str]:
    """PORT is that of the URL: many servers listen there."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return inherited | {"PORT": str(httpx.URL(url).port or 80)}


def _watch(process: subprocess.Popen[bytes], client: httpx.Client, target: Target, seconds: float) -> Iterator[Seen]:
    deadline = time.monotonic() + seconds
    while True:
        if process.poll() is not None:
            raise NotStarted(f"the command ended with status {process.returncode}")
        try:
            answer = client.get("/readyz")
        except httpx.TransportError:
            answer = None  # it does not listen yet
        if answer is not None:
            yield _seen("/readyz", answer)
            if answer.is_success:
                break
        if time.monotonic() > deadline:
            raise NotStarted(f"{target.url}/readyz did not answer 200 within {seconds:g} s")
        time.sleep(_PAUSE_S)
    try:
        specimen = SPECIMENS[target.service](client, target.model)
        yield _seen(specimen.path, specimen.send(client))
    except httpx.HTTPStatusError as error:
        yield _seen(error.request.url.path, error.response)


def _seen(path: str, answer: httpx.Response) -> Seen:
    return Seen(path, answer.status_code, answer.headers.get("content-type", "").partition(";")[0])


def _end(process: subprocess.Popen[bytes]) -> None:
    """The whole group: a command may have started others."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
            return
