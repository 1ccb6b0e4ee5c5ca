"""Wait until services answer /readyz, and say meanwhile what each is doing."""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx
import psutil
from plumbline_contracts.common import Info
from plumbline_kit.client import problem_of
from plumbline_kit.errors import ProblemError
from plumbline_kit.healthcheck import waits_in_vain
from pydantic import ValidationError

_POLL_S = 0.3


@dataclass
class Awaited:
    """A service under way."""

    name: str
    state: str = field(default="starting", kw_only=True)
    ready: bool = field(default=False, kw_only=True)
    waits_in_vain: bool = field(default=False, kw_only=True)
    """It is not ready, and does not say when to ask again: a person has to mend what it tells."""


@dataclass
class AwaitedProcess(Awaited):
    """`process` is null when another command started it."""

    url: str
    process: subprocess.Popen[bytes] | None
    pid: int

    @property
    def exit_status(self) -> int | None:
        """Set once it has ended; -1 when only that is known."""
        if self.process is not None:
            return self.process.poll()
        return None if psutil.pid_exists(self.pid) else -1


class Ended(Exception):
    """A service ended instead of getting ready."""

    def __init__(self, service: AwaitedProcess) -> None:
        super().__init__(service.name)
        self.service = service


def wait(services: list[AwaitedProcess], timeout: float, show: Callable[[AwaitedProcess], object]) -> None:
    """Return when all are ready; raises Ended, or `not-ready` with what each lacks: after `timeout` seconds, or as soon
    as waiting does not help any of those that are left."""
    deadline = time.monotonic() + timeout
    with http() as client:
        while True:
            for service in services:
                if not service.ready:
                    _look(service, client)
                    show(service)
            if all(service.ready for service in services):
                return
            refuse_to_wait_in_vain(services)
            if time.monotonic() > deadline:
                raise _not_ready(f"Not ready after {timeout:.0f} seconds", services)
            time.sleep(_POLL_S)


def refuse_to_wait_in_vain(services: Sequence[Awaited]) -> None:
    """Raise `not-ready` with what each lacks when waiting helps none of those that are not ready."""
    waiting = [service for service in services if not service.ready]
    if waiting and all(service.waits_in_vain for service in waiting):
        raise _not_ready("Not ready, and waiting does not help", services)


def _not_ready(what: str, services: Sequence[Awaited]) -> ProblemError:
    states = "; ".join(f"{service.name}: {service.state}" for service in services if not service.ready)
    ready = ", ".join(service.name for service in services if service.ready)
    return ProblemError(503, "not-ready", f"{what}: {states}" + (f" Ready were: {ready}." if ready else ""))


def _look(service: AwaitedProcess, client: httpx.Client) -> None:
    try:
        response = client.get(f"{service.url}/readyz")
    except httpx.HTTPError:
        service.state, service.waits_in_vain = "starting", False
    else:
        service.ready = response.status_code == 200
        service.state = "ready" if service.ready else problem_of(response).detail
        service.waits_in_vain = waits_in_vain(response.status_code, response.headers.get("Retry-After"))
    if service.exit_status is not None:
        raise Ended(service)


def info(client: httpx.Client, url: str) -> Info | str:
    """Who answers there, or why it is not known."""
    try:
        response = client.get(f"{url.rstrip('/')}/info")
        return Info.model_validate_json(response.content) if response.is_success else problem_of(response).detail
    except httpx.HTTPError as error:
        return f"does not answer: {type(error).__name__}"
    except ValidationError:
        return "is not a service of Plumbline"


def http(token: str | None = None) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(timeout=5, trust_env=False, headers=headers)
