"""`plumbline calibrate`: real judge and analyzer processes, and a judge whose errors are known."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.judge_backend import PAIR, completion
from tests.services import MODEL_FREE
from tests.stack import Stack

SHARED = Path(os.environ.get("PLUMBLINE_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
LENIENT = {1: [1, 1, 2, 2, 3], 2: [2, 2, 3, 3, 4], 3: [3, 3, 4, 4, 5], 4: [4, 4, 5, 5, 5], 5: [5, 5, 5, 5, 5]}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("home"), MODEL_FREE, ["judge", "analyzer"]) as running:
        yield running


class Stub(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...

    def asked(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Lenient(Stub):
    """A judge that reads gold in the response and is too kind by a fixed table; of two it prefers the first shown."""

    def do_GET(self) -> None:
        aspects = [{"name": "quality", "description": "5 is good, 1 is bad."}]
        info = {"contract": "judge/1.0.0", "implementation": "lenient", "version": "1", "model": None, "revision": None}
        rubrics = [{"name": "quality", "version": "1", "aspects": aspects, "languages": ["en"], "compat": None}]
        self.answer({"/info": info | {"description": "Kind."}}.get(self.path, {"rubrics": rubrics}))

    def do_POST(self) -> None:
        asked = self.asked()
        same = {"rubric": "quality", "rubric_version": "1", "compat": None}
        if self.path == "/v1/judgments":
            self.answer(same | {"judgments": [judgment(item) for item in asked["items"]]})
            return
        verdict = {"verdict": "a", "rationale": "first", "unscored": None, "orders": []}
        self.answer(
            same | {"comparisons": [{"id": one["id"], **verdict} for one in asked["items"]], "order_effect": None}
        )


class Literal(Stub):
    """A judge model that follows the criterion it is told: 5 where the response says what it asks for, and else 1."""

    told = list[str]()

    def do_GET(self) -> None:
        self.answer({"object": "list", "data": [{"id": "literal", "object": "model"}]})

    def do_POST(self) -> None:
        asked = self.asked()
        system, user = (message["content"] for message in asked["messages"])
        aspects = asked["response_format"]["json_schema"]["schema"]["properties"]
        self.told.append(system)
        wanted = found.group(1) if (found := re.search(r"Does it say (\w+)\?", system)) else "nothing"
        if (pair := PAIR.search(user)) is not None:
            verdicts = {(True, False): "1", (False, True): "2"}
            verdict = verdicts.get((wanted in pair.group(1), wanted in pair.group(2)), "tie")
            self.answer(completion(json.dumps({"rationale": "It says so.", "verdict": verdict}), "stop"))
            return
        (response,) = re.findall(r" response\]\n(.*?)\n\[", user, re.DOTALL)
        score = {"rationale": "It says so.", "score": "5" if wanted in response else "1"}
        self.answer(completion(json.dumps(dict.fromkeys(aspects, score)), "stop"))


def judgment(item: dict[str, Any]) -> dict[str, Any]:
    gold, chance = int(item["response"][0]), hashlib.sha256(item["response"].encode()).digest()[0]
    scored = {"aspect": "quality", "score": LENIENT[gold][chance % 5], "rationale": "kind", "unscored": None}
    scored |= {"stated": None, "confidence": None}
    return {"id": item["id"], "scores": [scored], "raw_reply": None, "repair": None}


@contextmanager
def serving(stub: type[Stub]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), stub) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def lenient() -> Iterator[str]:
    with serving(Lenient) as url:
        yield url


@pytest.fixture(scope="module")
def literal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Our judge, whose model is `Literal`."""
    with serving(Literal) as model:
        settings = {"JUDGE_IMPLEMENTATION": "openai", "JUDGE_BACKEND_URL": f"{model}/v1", "JUDGE_MODEL": "literal"}
        with Stack(tmp_path_factory.mktemp("literal"), settings, ["judge"]) as running:
            yield running.url("judge")


def plumbline(stack: Stack, folder: Path, judge: str, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "plumbline", "calibrate", "--judge", judge, "--analyzer", stack.url("analyzer")]
    return subprocess.run([*command, *map(str, arguments)], cwd=folder, capture_output=True, text=True)


def recon(language: str) -> Path:
    file = SHARED / "recon" / f"recon_{language}.first250.jsonl"
    if not file.is_file():
        pytest.skip(f"no RECON at {file.parent}; set PLUMBLINE_SHARED_DATA")
    return file


def test_the_rules_are_found_unfit_on_recon(stack: Stack, tmp_path: Path) -> None:
    gold = [part for language in ("en", "es") for part in ("--gold", recon(language))]
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


def test_a_judge_that_follows_criteria_is_seen_to_only_where_it_is_told_them(
    stack: Stack, literal: str, tmp_path: Path
) -> None:
    """Every response is labelled twice, 5 and 1, by two criteria."""
    words = ("alpha", "beta")
    rows = [
        {
            "id": f"{at}-{asked}",
            "language": "en",
            "instruction": f"Say something, {at}.",
            "response": f"I say {words[at % 2]}.",
            "gold": 5 if asked == words[at % 2] else 1,
            "reference": f"I say {asked}.",
            "criterion": {"name": "criterion", "asks": f"Does it say {asked}?", "scale": {"1": "No.", "5": "Yes."}},
        }
        for at in range(60)
        for asked in words
    ]
    (tmp_path / "gold.jsonl").write_text("\n".join(map(json.dumps, rows)))
    arguments = ("--gold", "gold.jsonl", "--repeats", "1", "--json")
    done = plumbline(stack, tmp_path, literal, *arguments, "--criteria")
    assert done.returncode == 0, done.stderr
    (english,) = (found := json.loads(done.stdout))["languages"]
    assert (english["n"], english["exact"]["value"], english["kappa"]["value"]) == (120, 1, 1)
    assert english["confusion"][0] == [60, 0, 0, 0, 0] and english["confusion"][4] == [0, 0, 0, 0, 60]
    (swap,) = found["swaps"]
    assert (swap["n"], swap["consistent"]["value"], swap["right"]["value"]) == (60, 1, 1)
    assert any(line.startswith("Score responses in en on a criterion for each") for line in found["may"])
    assert found["calibration"]["rubric"] is None

    untold = plumbline(stack, tmp_path, literal, *arguments, "--rubric", "just-eval-safety")
    assert untold.returncode == 0, untold.stderr
    (english,) = (found := json.loads(untold.stdout))["languages"]
    assert english["exact"]["value"] == 0.5, "what one response is told twice cannot be 5 and 1"
    assert any(line.startswith("Rank arms in en") for line in found["may_not"])
    assert found["calibration"]["rubric"] == "just-eval-safety"


def test_recon_s_criteria_are_told_whole_in_the_language_of_their_row(
    stack: Stack, literal: str, tmp_path: Path
) -> None:
    asked = {recon("en"): (0, 83, 166), recon("es"): (0, 81, 165)}
    gold = [part for file in asked for part in ("--gold", file)]
    Literal.told.clear()
    done = plumbline(stack, tmp_path, literal, *gold, *("--criteria", "--limit", "3", "--pairs", "0", "--repeats", "1"))
    assert done.returncode == 0, done.stderr
    assert "(5 of 500 rows have no criterion and are left out)" in " ".join(done.stdout.split()), (
        "five Spanish ones are empty"
    )
    assert len(set(Literal.told)) == 6
    for file, rows in asked.items():
        lines = file.read_text("utf-8").splitlines()
        for prompt in (json.loads(lines[at])["inputs"] for at in rows):
            question, *labels = re.findall(r"^\[(.+)\]$|^(?:Score|Puntuación) [1-5]: (.+)$", prompt, re.MULTILINE)[-6:]
            criterion = [question[0], *(f"{at}: {said}" for at, (_, said) in enumerate(labels, 1))]
            assert any(" ".join(criterion) in system for system in Literal.told), criterion


def test_criteria_that_cannot_be_told_are_refused(stack: Stack, tmp_path: Path) -> None:
    row: dict[str, Any] = {"language": "en", "instruction": "Why?", "response": "So.", "gold": 1}
    criterion = {"name": "criterion", "asks": "Is it so?", "scale": {"1": "No.", "5": "Yes."}}
    (tmp_path / "gold.jsonl").write_text(json.dumps(row))
    arguments = ("--gold", "gold.jsonl", "--criteria")
    lacking = plumbline(stack, tmp_path, stack.url("judge"), *arguments)
    assert lacking.returncode == 2 and "No row of the gold set has a criterion" in lacking.stderr
    both = plumbline(stack, tmp_path, stack.url("judge"), *arguments, "--rubric", "rules")
    assert both.returncode == 2 and "--criteria takes the place of" in both.stderr
    (tmp_path / "gold.jsonl").write_text(json.dumps(row | {"criterion": criterion}))
    by_rules = plumbline(stack, tmp_path, stack.url("judge"), *arguments)
    assert by_rules.returncode == 2 and "a rubric in words needs a judge model" in by_rules.stderr


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
