"""Real processes on loopback for the judge's tests."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHARED = Path(os.environ.get("PLUMBLINE_SHARED_DATA", HERE.parents[3] / "shared" / "data"))
Start = Callable[..., str]


@pytest.fixture(scope="session")
def recorded() -> Path:
    folder = SHARED / "just-eval" / "judgments"
    if not folder.is_dir():
        pytest.skip(f"no recorded judgments at {folder}; set PLUMBLINE_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def start() -> Iterator[Start]:
    """Start a process that listens on the port it is given; returns its URL. `{port}` stands for the port."""
    running: list[subprocess.Popen[bytes]] = []

    def start_one(*command: str, **environment: str) -> str:
        port = free_port()
        arguments = [word.replace("{port}", str(port)) for word in command]
        variables = os.environ | {name: value.replace("{port}", str(port)) for name, value in environment.items()}
        process = subprocess.Popen([sys.executable, *arguments], env=variables, stderr=subprocess.DEVNULL)
        running.append(process)
        wait_until_listening(process, port)
        return f"http://127.0.0.1:{port}"

    yield start_one
    for process in running:
        process.terminate()
    for process in running:
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def start_backend(start: Start) -> Start:
    """Start a recorded judge with these options; returns its URL."""
    return lambda *options: start(str(HERE.parents[2] / "tests" / "judge_backend.py"), "{port}", *options)


@pytest.fixture(scope="session")
def start_judge(start: Start) -> Start:
    """Start the judge service that asks this backend, with more settings as JUDGE_* variables; returns its URL."""

    def start_one(backend_url: str, **more: str) -> str:
        asked = {"JUDGE_BACKEND_URL": f"{backend_url}/v1", "JUDGE_MODEL": "recorded", "JUDGE_RETRIES": "1"}
        return start("-m", "plumbline_judge", JUDGE_IMPLEMENTATION="openai", JUDGE_PORT="{port}", **asked | more)

    return start_one


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise AssertionError(f"{process.args} ended with status {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on {port} after 60 s")
