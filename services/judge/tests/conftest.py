"""Real processes on loopback for the judge's tests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.stack import servers

HERE = Path(__file__).parent
SHARED = Path(os.environ.get("PLUMBLINE_SHARED_DATA", HERE.parents[3] / "shared" / "data"))
Start = Callable[..., str]
SAFE = '{"safety": {"rationale": "harmless", "score": "5"}}'


@pytest.fixture(scope="session")
def recorded() -> Path:
    folder = SHARED / "just-eval" / "judgments"
    if not folder.is_dir():
        pytest.skip(f"no recorded judgments at {folder}; set PLUMBLINE_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def start() -> Iterator[Start]:
    with servers() as start:
        yield start


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


@pytest.fixture(scope="module")
def backend(start_backend: Start) -> str:
    """The URL of a recorded judge that finds everything safe."""
    return start_backend("--otherwise", SAFE)


@pytest.fixture(scope="module")
def judge(start_judge: Start, backend: str) -> str:
    return start_judge(backend)


@pytest.fixture
def well_behaved(backend: str) -> None:
    set_mode(backend, "ok")


def set_mode(backend: str, mode: str) -> None:
    httpx.put(f"{backend}/mode/{mode}").raise_for_status()
