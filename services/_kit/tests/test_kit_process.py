"""A service as a process: its health check, and its end on SIGTERM."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.stack import free_port, wait_for

SCRIPT = Path(__file__).parent / "slow_service.py"


class Slow:
    """The slow service as a process, with its files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.answers: list[Any] = []

    def start(self, grace_seconds: int) -> None:
        environment = os.environ | {"PLUMBLINE_GRACE_SECONDS": str(grace_seconds)}
        command = [sys.executable, str(SCRIPT), str(self.port)]
        self.process = subprocess.Popen(command, cwd=self.folder, env=environment)
        wait_for(lambda: not isinstance(self.get("/readyz"), Exception), 60, "the service to be ready")

    def get(self, path: str) -> Any:
        try:
            return httpx.get(self.url + path, timeout=60, trust_env=False)
        except httpx.HTTPError as error:
            return error

    def ask(self, path: str) -> threading.Thread:
        """Ask beside the test; the answer comes into `answers`."""
        thread = threading.Thread(target=lambda: self.answers.append(self.get(path)))
        thread.start()
        wait_for((self.folder / "asked").exists, 60, "the request to be under way")
        return thread

    def end(self) -> float:
        """SIGTERM; the seconds until the process has ended."""
        self.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        self.process.wait(60)
        return time.monotonic() - began


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Slow]:
    service = Slow(tmp_path)
    yield service
    if service.process.poll() is None:
        service.process.kill()
        service.process.wait()


@pytest.mark.parametrize("path", ["/waits?seconds=5", "/works?seconds=5"])
def test_a_request_under_way_is_answered_before_the_end(slow: Slow, path: str) -> None:
    slow.start(grace_seconds=30)
    asking = slow.ask(path)
    slow.process.send_signal(signal.SIGTERM)
    wait_for(lambda: isinstance(slow.get("/readyz"), httpx.ConnectError), 60, "new requests to be refused")
    assert slow.process.poll() is None
    asking.join()
    assert slow.process.wait(20) == 0
    assert slow.answers[0].json() == 5
    assert (slow.folder / "closed").exists()


@pytest.mark.parametrize("path", ["/waits?seconds=50", "/works?seconds=50", "/streams"])
def test_what_takes_longer_is_given_up_and_the_process_ends(slow: Slow, path: str) -> None:
    slow.start(grace_seconds=1)
    asking = slow.ask(path)
    assert slow.end() < 30
    assert slow.process.returncode == 0
    assert (slow.folder / "closed").exists()
    asking.join()
    if path == "/streams":
        assert isinstance(slow.answers[0], httpx.RemoteProtocolError)
    else:
        answer = slow.answers[0]
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:plumbline:problem:shutting-down")
        assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("path", ["/waits?seconds=600", "/streams"])
def test_the_work_for_a_caller_that_was_killed_ends(slow: Slow, path: str) -> None:
    slow.start(grace_seconds=1)
    script = "import sys, httpx; httpx.get(sys.argv[1], timeout=600, trust_env=False)"
    caller = subprocess.Popen([sys.executable, "-c", script, slow.url + path])
    wait_for((slow.folder / "asked").exists, 60, "the request to be under way")
    assert not (slow.folder / "ended").exists()
    caller.kill()
    caller.wait()
    wait_for((slow.folder / "ended").exists, 60, "the work to end")
    told = "499" if "waits" in path else "200"  # an answer that has begun has a status
    route = path.partition("?")[0]
    wait_for(lambda: f'route="{route}",status="{told}"' in slow.get("/metrics").text, 60, "the request to be counted")


def test_an_idle_service_ends_at_once(slow: Slow) -> None:
    slow.start(grace_seconds=30)
    with httpx.Client(trust_env=False) as client:  # which keeps its connection open
        client.get(f"{slow.url}/livez")
        assert slow.end() < 20
    assert slow.process.returncode == 0


def health(port: int) -> tuple[int, str]:
    command = [sys.executable, "-m", "plumbline_kit.healthcheck", str(port)]
    # A proxy setting must not lead it astray.
    environment = os.environ | {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return done.returncode, done.stderr


def test_the_health_check_says_why_a_service_is_not_ready(slow: Slow) -> None:
    code, said = health(slow.port)
    assert code == 1 and said.startswith(f"port {slow.port} does not answer: ConnectionRefusedError")
    slow.start(grace_seconds=1)
    assert health(slow.port) == (0, "")
    (slow.folder / "broken").touch()
    assert health(slow.port) == (3, "503: It is broken.\n"), "a person has to mend it"
    (slow.folder / "broken").rename(slow.folder / "away")
    assert health(slow.port) == (1, "503: It is away.\n"), "it says when to ask again"


def test_the_health_check_imports_no_library() -> None:
    code = "import sys, plumbline_kit.healthcheck; print(*{name.split('.')[0] for name in sys.modules})"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"plumbline_kit", "http"} <= set(imported)
    assert not {"pydantic", "fastapi", "httpx", "uvicorn"} & set(imported)
