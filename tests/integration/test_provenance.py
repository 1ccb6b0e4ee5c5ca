"""What an experiment was made of is kept, and what it found can be found again from its export without a service."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from plumbline_analyzer.detectors.language import LanguageIdentifier
from plumbline_analyzer.statistical import StatisticalAnalyzer
from plumbline_contracts.analyzer import AnalysisRequest
from plumbline_contracts.experiment import leaves
from plumbline_kit.folder_store import FolderStore

from tests.model_free import write_spec
from tests.services import MODEL_FREE
from tests.stack import Stack

ITEMS = 12


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("home"), MODEL_FREE) as running:
        yield running


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_spec(tmp_path_factory.mktemp("spec"), ITEMS)


@pytest.fixture(scope="module")
def finished(stack: Stack, spec: Path) -> str:
    stack.coordinator.submit("kept", spec).raise_for_status()
    assert stack.coordinator.finish("kept")["state"] == "completed"
    return "kept"


def plumbline(stack: Stack, *arguments: str) -> None:
    environment = os.environ | {"PLUMBLINE_URL": stack.url("coordinator")}
    subprocess.run([sys.executable, "-m", "plumbline", *arguments], env=environment, check=True, timeout=120)


def test_the_manifest_says_what_was_given_and_what_was_filled_in(stack: Stack, spec: Path, finished: str) -> None:
    manifest = stack.coordinator.get(finished, "/manifest")
    assert (manifest["text"], manifest["source"]) == (spec.read_text(), spec.name)
    defaults = {one["path"]: one["value"] for one in manifest["defaults"]}
    assert defaults["decoding.temperature"] == 0 and defaults["arms[0].prompting"] == "zero-shot"
    assert "decoding.max_new_tokens" not in defaults and "arms[1].prompting" not in defaults
    resolved = leaves(manifest["spec"])
    assert all(resolved[path] == value for path, value in defaults.items())
    assert manifest["seeds"] == {"decoding": 0, "analysis": 0, "training sft": 0}
    assert manifest["packages"]["plumbline-coordinator"] and manifest["packages"]["dbos"]
    assert set(manifest["services"]) == {"translator", "trainer", "generator", "analyzer", "judge:judge"}
    assert set(manifest["prompts"]) == {"urial/en", "urial/fr", "urial/es"}
    assert set(manifest["files"]) == {"dataset", "training sft"}


def test_the_analysis_is_repeated_from_an_export_without_services(stack: Stack, finished: str, tmp_path: Path) -> None:
    folder, store = tmp_path / "kept", FolderStore(tmp_path / "artifacts")
    plumbline(stack, "export", finished, "--output", str(folder))
    request = AnalysisRequest.model_validate_json((folder / "analysis.json").read_text())
    observations = (folder / "observations.jsonl").read_bytes()
    assert store.put_bytes(observations, f"observations-{finished}") == request.data
    analyzer = StatisticalAnalyzer(LanguageIdentifier(request.languages), store, 1)
    again = analyzer._analyze(request).model_dump(mode="json")
    assert again == json.loads((folder / "results.json").read_text()) == stack.coordinator.get(finished, "/results")
    assert json.loads((folder / "manifest.json").read_text()) == stack.coordinator.get(finished, "/manifest")


def test_the_reports_folder_and_what_analyze_makes_of_the_export_are_the_same(
    stack: Stack, finished: str, tmp_path: Path
) -> None:
    plumbline(stack, "report", finished, "--folder", str(tmp_path / "paper"))
    plumbline(stack, "export", finished, "--output", str(tmp_path / "kept"))
    plumbline(stack, "analyze", str(tmp_path / "kept"), "--folder", str(tmp_path / "again"))
    then, now = (sorted((tmp_path / folder / "tables").iterdir()) for folder in ("paper", "again"))
    assert [path.name for path in then] == [path.name for path in now]
    assert [path.read_bytes() for path in then] == [path.read_bytes() for path in now]
    assert {path.suffix for path in (tmp_path / "paper" / "figures").iterdir()} == {".svg", ".pdf"}
    page = (tmp_path / "paper" / "report.html").read_text()
    for digest in stack.coordinator.get(finished, "/manifest")["prompts"].values():
        assert digest in page
