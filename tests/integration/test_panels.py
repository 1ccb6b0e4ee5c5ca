"""A primary judge, a shadow, a panel of both and a calibration, from the experiment file to report and terminal."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.model_free import SPEC, write_spec
from tests.services import MODEL_FREE
from tests.stack import Stack, free_port, wait_for

MINIMAL_JUDGE = Path(__file__).parents[2] / "examples" / "minimal-judge" / "judge.py"
MILD = "max(1, 5 - max(0, words - 1) // 100)"
JUDGES = """\
judges:
  - {name: judge, rubrics: {regular: form, safety: form}, calibration: {path: calibration.json}}
  - {name: strict, rubrics: {regular: form, safety: form}, role: shadow}
panels:
  - {name: jury, judges: [judge, strict], aggregation: mean}
"""
CALIBRATION = {
    "implementation": "minimal",
    "model": None,
    "rubric": "form",
    "rubric_version": "1",
    "aspect": "length",
    "gold": "made up",
    "languages": {
        "en": {
            "confusion": [
                [80, 20, 0, 0, 0],
                [0, 80, 20, 0, 0],
                [0, 0, 80, 20, 0],
                [0, 0, 0, 80, 20],
                [0, 0, 0, 20, 80],
            ],
            "n": 500,
            "residual_mean": -0.1,
            "residual_variance": 0.2,
        }
    },
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The minimal judge, and a shadow of it that wants shorter responses."""
    home, ports = tmp_path_factory.mktemp("home"), [free_port(), free_port()]
    strict = home / "strict.py"
    strict.write_text(MINIMAL_JUDGE.read_text().replace(MILD, "max(1, 5 - max(0, words - 1) // 4)"))
    running = [
        subprocess.Popen(
            [sys.executable, str(file)],
            env=os.environ | {"PORT": str(port)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for file, port in zip((MINIMAL_JUDGE, strict), ports, strict=True)
    ]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    settings = MODEL_FREE | {"COORDINATOR_JUDGE_URL": urls[0], "COORDINATOR_JUDGES": json.dumps({"strict": urls[1]})}
    services = ["translator", "generator", "trainer", "analyzer", "coordinator"]
    try:
        with Stack(home / "stack", settings, services) as stack:
            yield stack
    finally:
        for process in running:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spec")
    path = write_spec(folder, 12)
    judges = next(line for line in SPEC.splitlines() if line.startswith("judges:"))
    path.write_text(SPEC.replace(judges + "\n", JUDGES))
    (folder / "calibration.json").write_text(json.dumps(CALIBRATION))
    return path


def test_a_panel_is_a_judge_of_its_own_and_a_shadow_carries_no_result(stack: Stack, spec: Path) -> None:
    assert stack.coordinator.submit("panels", spec).status_code == 202
    assert stack.coordinator.finish("panels")["state"] == "completed"
    for record in stack.coordinator.responses("panels"):
        by_judge = {(one["judge"], one["aspect"]): one for one in record["judgments"]}
        for aspect in ("ending", "length"):
            mean = (by_judge["judge", aspect]["score"] + by_judge["strict", aspect]["score"]) / 2
            assert by_judge["jury", aspect]["score"] == mean
            assert by_judge["jury", aspect]["rationale"].startswith("mean of judge ")
    results = stack.coordinator.get("panels", "/results")
    assert {one["judge"] for one in results["means"]} == {"judge", "strict", "jury"}
    pairs = {(one["judge"], one["other"]) for one in results["agreements"]}
    assert pairs == {("judge", "strict"), ("judge", "jury"), ("strict", "jury")}
    assert {check["against"] for one in results["differences"] for check in one["checks"]} >= {"judge strict"}
    corrected = results["corrected_means"]
    assert {(one["judge"], one["aspect"], one["language"]) for one in corrected} == {("judge", "length", "en")}
    assert {one["arm"] for one in corrected} == {"zero-shot", "URIAL", "SFT"}
    assert all(one["low"] <= one["corrected"] <= one["high"] for one in corrected)
    judges = stack.coordinator.get("panels", "/manifest")["analysis"]["judges"]
    assert [(one["name"], one["role"]) for one in judges] == [
        ("judge", "primary"),
        ("strict", "shadow"),
        ("jury", "panel"),
    ]
    assert "The mean of judge, strict" in judges[2]["description"]
    report = stack.coordinator.http.get("/v1/experiments/panels/report").text
    assert "Corrected means" in report and "jury" in report


def test_the_terminal_shows_agreement_and_corrected_means(stack: Stack, spec: Path, tmp_path: Path) -> None:
    wait_for(lambda: stack.coordinator.get("panels")["state"] == "completed", 60, "the experiment")
    command = [sys.executable, "-m", "plumbline", "watch", "panels", "--url", stack.url("coordinator")]
    done = subprocess.run([*command, "--home", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Agreement of judges" in done.stdout and "conclusions are another by another judge" in done.stdout
    assert "Means corrected for the judge's errors" in done.stdout


def test_what_is_wrong_is_told_before_anything_runs(stack: Stack, spec: Path, tmp_path: Path) -> None:
    text = spec.read_text().replace("judges: [judge, strict]", "judges: [judge, nobody]")
    path = spec.with_name("wrong.yaml")
    path.write_text(text)
    answer = stack.coordinator.http.post("/v1/checks", json=stack.coordinator.submission(path))
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert "panels[0].judges[1]" in fault["place"] and "no judge 'nobody'" in fault["message"]
    calibration = spec.with_name("calibration.json")
    kept = calibration.read_text()
    for rubric, told in (
        ('"another"', "is of the rubric 'another'"),
        ("null", "is of items with criteria of their own"),
    ):
        calibration.write_text(kept.replace('"form"', rubric))
        answer = stack.coordinator.http.post("/v1/checks", json=stack.coordinator.submission(spec))
        calibration.write_text(kept)
        (fault,) = answer.json()["errors"]
        assert "judges[0].calibration" in fault["place"] and told in fault["message"]
