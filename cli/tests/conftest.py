"""A real coordinator stand-in per test, and the command as a real process against it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from plumbline.cli import app
from typer.testing import CliRunner

from tests.stack import free_port

STAND_IN = Path(__file__).parent / "coordinator_stand_in.py"
SPEC = """\
name: Étude d'été
description: {how}
languages: [en, fr]
dataset:
  path: data/items.jsonl
models: {{tiny: {{base: tinyworld-base}}}}
arms:
  - {{name: zero-shot, model: tiny}}
  - {{name: urial, model: tiny, prompting: urial}}
decoding: {{max_new_tokens: 8}}
"""
_LONGEST_S = 60


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class CommandLine:
    """`plumbline` in a folder: by a call within this process, which is quick, or as a process of its own."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str | Path, **environment: str) -> Outcome:
        result = CliRunner().invoke(app, [*map(str, arguments)], env=self.environment | environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    def start(self, *arguments: str | Path, **environment: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "plumbline", *map(str, arguments)],
            cwd=self.folder,
            env=os.environ | self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )


@dataclass
class Coordinator:
    folder: Path
    port: int
    environment: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, STAND_IN, self.folder],
            env=os.environ | {"COORDINATOR_PORT": str(self.port)} | self.environment | environment,
            stderr=subprocess.DEVNULL,
        )
        until(lambda: answers(f"{self.url}/readyz"))

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


def until(condition: Any) -> Any:
    deadline = time.monotonic() + _LONGEST_S
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
    return value


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="session")
def shared_coordinator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coordinator]:
    served = Coordinator(tmp_path_factory.mktemp("coordinator"), free_port())
    served.start()
    yield served
    served.kill()


@pytest.fixture
def coordinator(shared_coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> Coordinator:
    """Shared, and emptied: the stand-in keeps nothing but files."""
    for file in shared_coordinator.folder.iterdir():
        file.unlink()
    monkeypatch.setenv("PLUMBLINE_URL", shared_coordinator.url)
    return shared_coordinator


@pytest.fixture
def own_coordinator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Coordinator]:
    """One that the test starts and kills."""
    folder = tmp_path / "coordinator"
    folder.mkdir()
    served = Coordinator(folder, free_port())
    monkeypatch.setenv("PLUMBLINE_URL", served.url)
    yield served
    served.kill()


@pytest.fixture
def plumbline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """The command where no variable of the developer's shell reaches it; without a coordinator nobody answers."""
    names = ("PLUMBLINE_", "COORDINATOR_", "TRANSLATOR_", "GENERATOR_", "TRAINER_", "JUDGE_", "ANALYZER_")
    for name in [name for name in os.environ if name.startswith(names) and name != "PLUMBLINE_URL"]:
        monkeypatch.delenv(name)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return CommandLine(folder, {"NO_COLOR": "1"})


@pytest.fixture
def write_spec(plumbline: CommandLine) -> Any:
    """Write an experiment file with its data; the argument says how the stand-in lets it end."""

    def write(how: str = "completes", data: str = '{"id": "1", "instruction": "Nomme un animal."}\n') -> Path:
        (plumbline.folder / "data").mkdir(exist_ok=True)
        (plumbline.folder / "data" / "items.jsonl").write_text(data, encoding="utf-8")
        path = plumbline.folder / "study.yaml"
        path.write_text(SPEC.format(how=how), encoding="utf-8")
        return path

    return write


@pytest.fixture
def wait_until() -> Any:
    return until
