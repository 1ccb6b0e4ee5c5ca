"""`plumbline calibrate`: real judge and analyzer processes, and a judge whose errors are known."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.services import MODEL_FREE
from tests.stack import Stack

SHARED = Path(os.environ.get("PLUMBLINE_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
LENIENT = {1: [1, 1, 2, 2, 3], 2: [2, 2, 3, 3, 4], 3: [3, 3, 4, 4, 5], 4: [4, 4, 5, 5, 5], 5: [5, 5, 5, 5, 5]}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("home"), MODEL_FREE, ["judge", "analyzer"]) as running:
        yield running


class Lenient(BaseHTTPRequestHandler):
    """A judge that reads gold in the response and is too kind by a fixed table; of two it prefers the first shown."""

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        aspects = [{"name": "quality", "description": "5 is good, 1 is bad."}]
        info = {"contract": "judge/1.0.0", "implementation": "lenient", "version": "1", "model": None, "revision": None}
        rubrics = [{"name": "quality", "version": "1", "aspects": aspects, "languages": ["en"], "compat": None}]
        self._answer({"/info": info | {"description": "Kind."}}.get(self.path, {"rubrics": rubrics}))

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        same = {"rubric": "quality", "rubric_version": "1", "compat": None}
        if self.path == "/v1/judgments":
            self._answer(same | {"judgments": [judgment(item) for item in asked["items"]]})
            return
        verdict = {"verdict": "a", "rationale": "first", "unscored": None, "orders": []}
        self._answer(
            same | {"comparisons": [{"id": one["id"], **verdict} for one in asked["items"]], "order_effect": None}
        )

    def _answer(self, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def judgment(item: dict[str, Any]) -> dict[str, Any]:
    gold, chance = int(item["response"][0]), hashlib.sha256(item["response"].encode()).digest()[0]
    scored = {"aspect": "quality", "score": LENIENT[gold][chance % 5], "rationale": "kind", "unscored": None}
    scored |= {"stated": None, "confidence": None}
    return {"id": item["id"], "scores": [scored], "raw_reply": None, "repair": None}


@pytest.fixture
def lenient() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Lenient) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def plumbline(stack: Stack, folder: Path, judge: str, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "plumbline", "calibrate", "--judge", judge, "--analyzer", stack.url("analyzer")]
    return subprocess.run([*command, *map(str, arguments)], cwd=folder, capture_output=True, text=True)


def test_the_rules_are_found_unfit_on_recon(stack: Stack, tmp_path: Path) -> None:
    files = [SHARED / "recon" / f"recon_{language}.first250.jsonl" for language in ("en", "es")]
    if not files[0].is_file():
        pytest.skip(f"no RECON at {files[0].parent}; set PLUMBLINE_SHARED_DATA")
    gold = [part for file in files for part in ("--gold", file)]
    done = plumbline(stack, tmp_path, stack.url("judge"), *gold, "--pairs", "20", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    english, spanish, both = found["languages"]
    assert (english["language"], spanish["language"], both["language"]) == ("en", "es", "all")
    assert (english["n"], spanish["n"]) == (250, 250)
    assert [sum(row) for row in english["confusion"]] == [50] * 5
    assert found["language_swaps"][0]["n"] == 250
    assert english["stability"]["value"] == found["swaps"][0]["consistent"]["value"] == 1, "rules are rules"
    assert not any("arms in en" in line for line in found["may"])
    assert any(line.startswith("Rank arms in en") for line in found["may_not"])
    assert "It may not:" in done.stderr and "Rank arms in es" in done.stderr
    assert "What it may not be used for" in (tmp_path / "calibration.html").read_text()


def test_a_lenient_judge_is_seen_through(stack: Stack, lenient: str, tmp_path: Path) -> None:
    rows = [f"en,{at},What is {at // 2}?,{1 + at % 5} is what I say about {at}.,{1 + at % 5}" for at in range(200)]
    (tmp_path / "gold.csv").write_text("\n".join(["language,id,instruction,response,gold", *rows]))
    done = plumbline(stack, tmp_path, lenient, "--gold", "gold.csv", "--aspect", "quality", "--json")
    assert done.returncode == 0, done.stderr
    (english,) = (found := json.loads(done.stdout))["languages"]
    assert english["bias"]["low"] > 0.3 and english["recall"][4] == 1
    (swap,) = found["swaps"]
    assert (swap["n"], swap["consistent"]["value"]) == (100, 0), "it always prefers the first"
    assert any(line.startswith("Compare two responses in en") for line in found["may_not"])
    assert any("uncorrected means in en" in line for line in found["may_not"])
    kept = json.loads((tmp_path / "calibration.json").read_text())
    assert kept == found["calibration"]
    assert kept["languages"]["en"]["confusion"][4] == [0, 0, 0, 0, 40]


def test_faults_of_a_gold_set_are_told_with_their_lines(stack: Stack, tmp_path: Path) -> None:
    lines = ["language,instruction,response,gold", "en,Why?,Because.,3", "en,Why?,Because.,6", "english,Why?,No.,2"]
    (tmp_path / "gold.csv").write_text("\n".join([*lines, "en,Why?,Because.,"]))
    (tmp_path / "gold.jsonl").write_text('{"gold": 1}\n{"gold": \n')
    done = plumbline(stack, tmp_path, "http://127.0.0.1:9", "--gold", "gold.csv")
    assert done.returncode == 2
    for told in ("gold.csv:3 gold", "(is '6')", "gold.csv:4 language", "gold.csv:5 gold: Field required"):
        assert told in done.stderr, done.stderr
    broken = plumbline(stack, tmp_path, "http://127.0.0.1:9", "--gold", "gold.jsonl")
    assert broken.returncode == 2 and "gold.jsonl:2: is not JSON" in broken.stderr


def test_what_is_no_judge_is_refused(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "gold.jsonl").write_text('{"language": "en", "instruction": "Why?", "response": "", "gold": 1}\n' * 1)
    done = plumbline(stack, tmp_path, stack.url("analyzer"), "--gold", "gold.jsonl")
    assert done.returncode == 2 and "not that of a judge" in done.stderr
    unknown = plumbline(stack, tmp_path, stack.url("judge"), "--gold", "gold.jsonl", "--aspect", "wit")
    assert unknown.returncode == 2 and "has no aspect 'wit'" in unknown.stderr
