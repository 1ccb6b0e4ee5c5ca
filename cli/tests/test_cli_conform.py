"""`plumbline conform` hands over to the conformance suite."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest


def test_an_unknown_contract_exits_with_2(plumbline):
    outcome = plumbline("conform", "jury", "--url", "http://127.0.0.1:1")
    assert outcome.code == 2
    assert "there are translator, generator" in outcome.err


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense"])
def test_a_service_that_does_not_answer_exits_with_3(plumbline, url):
    pytest.importorskip("plumbline_conformance")
    outcome = plumbline("conform", "judge", "--url", url)
    assert outcome.code == 3
    assert "does not answer" in outcome.err


class AnswersNothing(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


def test_what_does_not_conform_exits_with_1(plumbline):
    pytest.importorskip("plumbline_conformance")
    with ThreadingHTTPServer(("127.0.0.1", 0), AnswersNothing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        process = plumbline.start("conform", "judge", "--url", url, "--examples", "1", "--junit", "judge.xml", "--json")
        out, err = process.communicate(timeout=300)
        server.shutdown()
    assert process.returncode == 1, err
    found = json.loads(out)
    assert (found["service"], found["url"], found["conforms"]) == ("judge", url, False)
    assert {check["outcome"] for check in found["checks"]} >= {"failed"}
    assert (plumbline.folder / "judge.xml").exists()
