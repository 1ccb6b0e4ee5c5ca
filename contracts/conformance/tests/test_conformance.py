"""The suite passes on a judge that shares no code with ours, and fails on the same one spoiled."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from plumbline_conformance import DOCUMENTS, SERVICES, run

MINIMAL_JUDGE = Path(__file__).parents[3] / "examples" / "minimal-judge" / "judge.py"
Start = Callable[[str], str]
# One promise of the contract broken each: what stands in the judge, what takes its place, and the test that tells.
SPOILINGS = {
    "the case of a verdict": ('"verdict": verdict,', '"verdict": verdict.upper(),', "test_answers_as_documented"),
    "an error in a form of its own": (
        'body |= {"instance": None, "errors": faults}',
        'body = {"error": detail}',
        "test_an_unknown_rubric_is_a_problem",
    ),
    "judgments in another order": (
        "for item in request.items]\n    return",
        "for item in request.items][::-1]\n    return",
        "test_ids_are_echoed_in_request_order",
    ),
    "a score that is guessed": (
        '"score": None,',
        '"score": 3.0,',
        "test_an_aspect_is_scored_or_unscored_and_never_both",
    ),
    "unknown fields taken": ('extra="forbid"', 'extra="ignore"', "test_an_unknown_field_is_refused"),
}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a judge of this source; returns its URL."""
    running: list[subprocess.Popen[bytes]] = []

    def start_one(source: str) -> str:
        (tmp_path / "judge.py").write_text(source, encoding="utf-8")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port: int = free.getsockname()[1]
        environment = os.environ | {"PORT": str(port)}
        command = [sys.executable, str(tmp_path / "judge.py")]
        running.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return f"http://127.0.0.1:{port}"
            time.sleep(0.1)
        raise AssertionError("the judge does not listen after 30 s")

    yield start_one
    for process in running:
        process.terminate()
        process.wait(timeout=20)


def failed(junit: Path) -> set[str]:
    """The names of the tests that failed, without their parameters."""
    cases = ElementTree.parse(junit).iter("testcase")
    return {case.attrib["name"].partition("[")[0] for case in cases if case.find("failure") is not None}


def test_a_judge_that_shares_no_code_with_ours_conforms(start: Start, tmp_path: Path) -> None:
    assert run("judge", start(MINIMAL_JUDGE.read_text("utf-8")), junit=tmp_path / "junit.xml") == 0
    assert len(list(ElementTree.parse(tmp_path / "junit.xml").iter("testcase"))) >= 15


@pytest.mark.parametrize("spoiling", SPOILINGS)
def test_a_spoiled_judge_does_not(start: Start, tmp_path: Path, spoiling: str) -> None:
    stands, instead, caught = SPOILINGS[spoiling]
    source = MINIMAL_JUDGE.read_text("utf-8")
    assert stands in source
    assert run("judge", start(source.replace(stands, instead)), junit=tmp_path / "junit.xml", examples=5) == 1
    assert caught in failed(tmp_path / "junit.xml")


def test_a_service_that_does_not_answer_does_not_conform() -> None:
    assert run("judge", "http://127.0.0.1:9", examples=1) == 1


def test_every_service_has_a_document_and_a_suite() -> None:
    assert {path.name for path in DOCUMENTS.glob("*.v1.json")} == {f"{service}.v1.json" for service in SERVICES}


def test_wrong_use_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="translator"):
        run("oracle", "http://127.0.0.1:9")
    with pytest.raises(FileNotFoundError, match=r"judge\.v1\.json"):
        run("judge", "http://127.0.0.1:9", documents=tmp_path)
