"""The kit passes on judges that share no code with ours, and fails on the same judge with one fault."""

import shlex
import shutil
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from plumbline_conformance import DOCUMENTS, SERVICES, Check, Findings, run
from plumbline_conformance.record import curl
from plumbline_conformance.report import markdown

from contracts.conformance.tests.spoiled_judges import (
    FAULTS,
    PAGE,
    READY,
    ROOT,
    SLOW,
    findings,
    free_port,
    page,
    started,
)

NODE_JUDGE = ROOT / "examples" / "node-judge" / "judge.mjs"


def test_a_judge_that_is_slow_to_load_and_says_so_conforms(tmp_path: Path) -> None:
    found = started(tmp_path, SLOW, examples=5)
    assert found.conforms, found.failed
    assert found.count("skipped") == 0
    assert found.info is not None and found.info["implementation"] == "minimal"
    assert set(found.latencies()) >= {"POST /v1/judgments", "POST /v1/comparisons", "GET /v1/rubrics"}


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_a_judge_in_another_language_conforms(tmp_path: Path) -> None:
    url, junit = f"http://127.0.0.1:{free_port()}", tmp_path / "junit.xml"
    found = run("judge", url, start=f"node {shlex.quote(str(NODE_JUDGE))}", junit=junit, examples=5)
    assert found.conforms, found.failed
    assert len(list(ElementTree.parse(junit).iter("testcase"))) == len(found.checks)


def test_every_fault_is_found_and_the_page_says_by_which_check() -> None:
    found = findings()
    assert set(found) == {*FAULTS, READY}
    assert {fault for fault, one in found.items() if not one.failed} == set()
    assert PAGE.read_text("utf-8") == page(found), f"docs/{PAGE.name} is old; its last line says how to make it anew"
    upper = found["a verdict in upper case"].failed[0]
    assert "'verdict': 'TIE'" in (upper.detail or "") or "'verdict': 'UNSCORED'" in (upper.detail or "")
    assert "/v1/comparisons" in (upper.curl or "") and "--data-raw" in (upper.curl or "")


def test_a_service_that_does_not_answer_does_not_conform() -> None:
    assert not run("judge", "http://127.0.0.1:9", examples=0).conforms


def test_every_service_has_a_document_and_a_suite() -> None:
    assert {path.name for path in DOCUMENTS.glob("*.v1.json")} == {f"{service}.v1.json" for service in SERVICES}


def test_wrong_use_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="translator"):
        run("oracle", "http://127.0.0.1:9")
    with pytest.raises(FileNotFoundError, match=r"judge\.v1\.json"):
        run("judge", "http://127.0.0.1:9", documents=tmp_path)
    with pytest.raises(RuntimeError, match="ended with status 3"):
        run("judge", "http://127.0.0.1:9", start=f"{sys.executable} -c 'raise SystemExit(3)'")


def test_a_request_is_shown_without_its_token_and_not_at_any_length() -> None:
    headers = {"Authorization": "Bearer secret", "Content-Type": "application/json", "Host": "a"}
    line = curl("POST", "http://a/v1/judgments", headers, b"it's " * 1000)
    assert "secret" not in line and "Bearer $PLUMBLINE_TOKEN" in line
    assert shlex.split(line, comments=True)[:5] == ["curl", "-sS", "-i", "-X", "POST"]
    assert line.endswith("# and 1000 characters more")


def test_nothing_in_an_answer_can_break_the_report() -> None:
    checks = [Check("a | b", "It must.", "failed", "<script>\x1b[31m\n# heading", "curl -sS x")]
    text = markdown(Findings("judge", "http://a", checks, {"GET /info": [0.002, 0.001, 0.003]}, None))
    assert "| a \\| b | It must. | failed |" in text
    assert "    <script>[31m\n    # heading" in text and "\x1b" not in text
    assert "| GET /info | 3 | 2.0 | 3.0 | 3.0 |" in text
