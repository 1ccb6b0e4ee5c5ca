"""Real service processes on free ports of this machine, to be killed and started again."""

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import httpx
import yaml
from plumbline_contracts.experiment import local_paths

from tests.services import SERVICES

ENDED = ("completed", "failed", "cancelled")


# Below those that the kernel gives to outgoing connections, one of which could take a port before its server does.
_PORTS = range(15_000, 32_000)
_TAKEN = list[socket.socket]()


def free_port() -> int:
    """Given to nobody else while this process lives, whichever process of this machine asks here."""
    while True:
        port = random.SystemRandom().choice(_PORTS)
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0plumbline-test-port-{port}")  # a name without a file; it ends with the process
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
            continue
        _TAKEN.append(mark)
        return port


@contextmanager
def servers() -> Iterator[Callable[..., str]]:
    """Yields what starts a process that listens on the port it is given, and returns its URL.

    It is a Python with these words and variables, in which `{port}` stands for the port.
    """
    running = list[subprocess.Popen[bytes]]()

    def start(*command: str, **environment: str) -> str:
        port = str(free_port())
        variables = os.environ | {name: value.replace("{port}", port) for name, value in environment.items()}
        words = [sys.executable, *(word.replace("{port}", port) for word in command)]
        running.append(subprocess.Popen(words, env=variables, stderr=subprocess.DEVNULL))
        wait_until_listening(running[-1], int(port))
        return f"http://127.0.0.1:{port}"

    try:
        yield start
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30)


def wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    def listens() -> bool:
        assert process.poll() is None, f"{process.args!r} ended with status {process.returncode}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_for(listens, 60, f"{process.args!r} to listen")


class Stack:
    """All services, or some, with their files under `home`. Use as a context manager: it ends what it started."""

    def __init__(self, home: Path, settings: Mapping[str, str], services: Sequence[str] | None = None) -> None:
        self.home, self.processes = home, dict[str, subprocess.Popen[bytes]]()
        self.services = list(services or [line.name for line in SERVICES])
        self.ports = {line.name: free_port() for line in SERVICES}
        urls = {f"COORDINATOR_{name.upper()}_URL": self.url(name) for name in self.ports if name != "coordinator"}
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("PLUMBLINE_")},
            **{f"{name.upper()}_PORT": str(port) for name, port in self.ports.items()},
            **urls,
            "PLUMBLINE_ARTIFACTS_DIR": str(home / "artifacts"),
            "TRAINER_JOBS_DIR": str(home / "trainings"),
            "COORDINATOR_DATABASE_URL": f"sqlite:///{home}/coordinator.sqlite",
            "COORDINATOR_DATASETS_DIR": str(home / "datasets"),
            "OMP_WAIT_POLICY": "PASSIVE",
            **settings,
        }

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def __enter__(self) -> Self:
        self.home.mkdir(parents=True, exist_ok=True)
        try:
            for name in self.services:
                self.start(name)
            for name in self.services:
                self.wait_ready(name)
        except BaseException:
            self.__exit__()  # what did start would stay for ever
            raise
        return self

    @cached_property
    def coordinator(self) -> "Coordinator":
        return Coordinator(self.url("coordinator"))

    def __exit__(self, *_: object) -> None:
        if "coordinator" in self.__dict__:
            self.coordinator.http.close()
        for process in self.processes.values():
            process.terminate()
        hung = []
        for name, process in self.processes.items():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                hung.append(name)
                process.kill()
                process.wait()
        assert not hung, f"did not end on SIGTERM: {hung}"

    def start(self, name: str) -> None:
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", f"plumbline_{name}"], env=self.environment, stdout=log, stderr=log
            )

    def kill(self, name: str) -> None:
        """kill -9, and wait until it is gone."""
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()

    @contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """Frozen meanwhile, whatever it is doing."""
        self.processes[name].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.processes[name].send_signal(signal.SIGCONT)

    def wait_ready(self, name: str, seconds: float = 120) -> None:
        def ready() -> bool:
            assert self.processes[name].poll() is None, f"{name} ended:\n{self.log(name)[-3000:]}"
            try:
                return httpx.get(f"{self.url(name)}/readyz", timeout=5, trust_env=False).status_code == 200
            except httpx.HTTPError:
                return False

        wait_for(ready, seconds, f"{name} to be ready")

    def log(self, name: str) -> str:
        return (self.home / f"{name}.log").read_text()


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """A deadline against hanging for ever, not a claim about speed."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.1)


class Coordinator:
    """The coordinator's API as a test needs it; goes on asking while the coordinator is being restarted."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def submit(self, id: str, spec: Path, **options: Any) -> httpx.Response:
        return self.http.put(f"/v1/experiments/{id}", json=self.submission(spec) | options)

    def submission(self, spec: Path) -> dict[str, Any]:
        text = spec.read_text()
        contents = {path: (spec.parent / path).read_bytes() for path in local_paths(yaml.safe_load(text))}
        files = {}
        for path, content in contents.items():
            answer = self.http.put(f"/v1/files/{hashlib.sha256(content).hexdigest()}", content=content)
            files[path] = answer.raise_for_status().json()
        return {"spec": text, "source": spec.name, "files": files}

    def get(self, id: str, part: str = "") -> Any:
        return self.http.get(f"/v1/experiments/{id}{part}").raise_for_status().json()

    def phase(self, id: str, name: str) -> dict[str, Any]:
        return next(phase for phase in self.get(id)["phases"] if phase["name"] == name)

    def finish(self, id: str, seconds: float = 600) -> dict[str, Any]:
        """Wait for the end of the experiment and return it."""
        wait_for(lambda: self.get(id)["state"] in ENDED, seconds, f"experiment {id} to end")
        return dict(self.get(id))

    def responses(self, id: str) -> list[dict[str, Any]]:
        found, after = list[dict[str, Any]](), None
        while True:
            query = {"limit": 100} | ({} if after is None else {"after": after})
            page = self.http.get(f"/v1/experiments/{id}/responses", params=query).raise_for_status().json()
            found += page["responses"]
            if (after := page["next"]) is None:
                return found
