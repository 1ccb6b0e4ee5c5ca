"""Every service with its model-free implementation, as a real process, against the conformance suite."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from plumbline_kit.folder_store import FolderStore

from tests.services import MODEL_FREE, SERVICES
from tests.stack import Stack

ROWS = '{"prompt": "Hi\\n", "completion": "Hello"}\n'


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("home"), MODEL_FREE) as running:
        yield running


@pytest.mark.parametrize("name", [line.name for line in SERVICES])
def test_service_conforms(stack: Stack, name: str, tmp_path: Path) -> None:
    more = ["--training", str(training(stack, tmp_path))] if name == "trainer" else []
    command = [sys.executable, "-m", "plumbline_conformance", name, "--url", stack.url(name), "--examples", "5", *more]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def training(stack: Stack, folder: Path) -> Path:
    """A training request whose data is in the store."""
    data = FolderStore(stack.home / "artifacts").put_bytes(ROWS.encode(), "rows")
    request = {
        "method": "sft",
        "model": "any",
        "data": data.model_dump(),
        "hyperparameters": {"learning_rate": 0.001},
    }
    (folder / "training.json").write_text(json.dumps(request))
    return folder / "training.json"
