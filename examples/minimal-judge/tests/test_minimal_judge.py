"""The example judges as it says, knows nothing of ours, and is as short and as locked up as its README claims."""

import ast
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import yaml
from plumbline_contracts.experiment import ExperimentSpec

EXAMPLE = Path(__file__).resolve().parents[1]
ROOT = EXAMPLE.parents[1]
ASKED = {"instruction": "Name one.", "language": "en"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    environment = os.environ | {"PORT": str(port)}
    process = subprocess.Popen([sys.executable, str(EXAMPLE / "judge.py")], env=environment, stderr=subprocess.DEVNULL)
    for _ in range(600):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    assert process.wait(timeout=20) in (0, -15)


def post(url: str, body: dict[str, Any]) -> Any:
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.mark.parametrize(
    ("response", "ending", "length"),
    [
        ("A dog.", 5.0, 5.0),
        ("A dog", 1.0, 5.0),
        ('She said "yes."', 5.0, 5.0),
        ("```\nx = 1\n```", 5.0, 5.0),
        ("word " * 100, 1.0, 5.0),
        ("word " * 101, 1.0, 4.0),
        ("word " * 5000, 1.0, 1.0),
        ("  \n", None, None),
    ],
)
def test_a_response_is_scored_as_the_rubric_says(
    url: str, response: str, ending: float | None, length: float | None
) -> None:
    items = [{"id": "1", "response": response, **ASKED}]
    scores = post(f"{url}/v1/judgments", {"rubric": "form", "items": items})["judgments"][0]["scores"]
    assert {one["aspect"]: one["score"] for one in scores} == {"ending": ending, "length": length}
    for one in scores:
        assert (one["score"] is None) == (one["unscored"] is not None)


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [("Yes.", "Yes", "a"), ("Yes", "Yes.", "b"), ("Yes.", "No.", "tie"), ("Yes.", "", "unscored")],
)
def test_a_pair_is_compared_by_its_scores(url: str, a: str, b: str, verdict: str) -> None:
    items = [{"id": "1", "response_a": a, "response_b": b, **ASKED}]
    found = post(f"{url}/v1/comparisons", {"rubric": "form", "items": items})["comparisons"][0]
    assert found["verdict"] == verdict
    assert (found["unscored"] is not None) == (verdict == "unscored")


def test_a_wrong_request_is_told_with_its_place(url: str) -> None:
    with pytest.raises(HTTPError) as caught:
        post(f"{url}/v1/judgments", {"rubric": "form", "items": [{"id": "1", "response": "Yes."}]})
    problem = json.load(caught.value)
    assert (caught.value.code, problem["type"]) == (422, "urn:plumbline:problem:invalid-request")
    assert "body.items.0.instruction" in [fault["place"] for fault in problem["errors"]]


def test_it_is_one_short_file_that_shares_no_code_with_ours() -> None:
    source = (EXAMPLE / "judge.py").read_text()
    assert len(source.splitlines()) <= 165
    nodes = list(ast.walk(ast.parse(source)))
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in modules} <= {"os", "typing", "uvicorn", "fastapi", "pydantic", "starlette"}


def test_its_experiment_has_the_form_of_one() -> None:
    spec = ExperimentSpec.model_validate(yaml.safe_load((EXAMPLE / "experiment.yaml").read_text()))
    assert spec.judges[0].rubrics == {"regular": "form", "safety": "form"}


def test_its_container_is_as_locked_up_as_that_of_our_judge() -> None:
    ours = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["judge"]
    mine = yaml.safe_load((EXAMPLE / "compose.yaml").read_text())["services"]["minimal-judge"]
    for setting in ("restart", "read_only", "tmpfs", "cap_drop", "security_opt", "networks", "logging"):
        assert mine[setting] == ours[setting], setting
    assert mine["pids_limit"] and mine["mem_limit"] and "ports" not in mine
    dockerfile = (EXAMPLE / "Dockerfile").read_text()
    assert "USER 10001:10001\n" in dockerfile and "HEALTHCHECK" in dockerfile and "--require-hashes" in dockerfile


def test_its_libraries_are_those_that_ours_are_tested_with() -> None:
    """So that the judge of the tests and the judge of the image are the same."""
    pinned = [line.split()[0] for line in (EXAMPLE / "requirements.lock").read_text().splitlines() if "==" in line]
    assert pinned
    ours = (ROOT / "requirements.lock").read_text().splitlines()
    assert not [one for one in pinned if f"{one} \\" not in ours]
