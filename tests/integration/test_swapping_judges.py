"""A judge swapped in each way that the README tells, and judges that break their contract. All processes are real."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.model_free import write_spec
from tests.services import MODEL_FREE, SERVICES
from tests.stack import Stack, free_port, wait_for

ROOT = Path(__file__).resolve().parents[2]
MINIMAL_JUDGE = ROOT / "examples" / "minimal-judge" / "judge.py"
RECORDED_MODEL = ROOT / "tests" / "judge_backend.py"
ITEMS, UNITS = 10, 2  # items in each language
ASPECTS = ("helpfulness", "clarity", "factuality", "depth", "engagement", "safety")
REPLY = json.dumps({aspect: {"rationale": "as recorded", "score": "4"} for aspect in ASPECTS})
OURS = "judges: [{rubrics: {regular: rules, safety: rules-safety}}]"
SPEC = f"""\
name: judged
reuse: false  # the spoiled judges say that they are the minimal one
languages: [en, fr]
dataset: {{path: items.jsonl}}
models: {{canned: {{base: canned}}}}
arms: [{{name: zero-shot, model: canned}}]
decoding: {{max_new_tokens: 32}}
analysis: {{resamples: 100}}
{OURS}
"""
JUST_EVAL = "judges: [{rubrics: {regular: just-eval-multi, safety: just-eval-safety}}]"
FORM = "rubrics: {regular: form, safety: form}"
# One thing in the source of the minimal judge each: what stands there, and what takes its place.
SCORES = "scores(item, item.response)"
SPOILINGS = {
    "minimal": ("", ""),
    "impostor": ('"judge/1.1.0"', '"translator/1.0.0"'),
    "garbage": (SCORES, "[]"),
    "sloppy": (SCORES, f"{SCORES} if item.id != '3' else []"),
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = MODEL_FREE | {"COORDINATOR_BATCH_SIZE": "8"}
    services = [line.name for line in SERVICES if line.name != "trainer"]
    with Stack(tmp_path_factory.mktemp("home"), settings, services) as running:
        for name in SPOILINGS:
            start_judge(running, name)
        running.ports["absent"] = free_port()
        judges = {name: running.url(name) for name in (*SPOILINGS, "absent")}
        restart(running, "coordinator", COORDINATOR_JUDGES=json.dumps(judges))
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spec")
    write_spec(folder, ITEMS)
    return folder


def start_judge(stack: Stack, name: str) -> None:
    """The minimal judge, spoiled as its name says; it ends with the stack."""
    source = MINIMAL_JUDGE.read_text("utf-8")
    stands, instead = SPOILINGS[name]
    assert stands in source
    file = stack.home / f"{name}.py"
    file.write_text(source.replace(stands, instead), encoding="utf-8")
    start(stack, name, free_port(), str(file))


def start(stack: Stack, name: str, port: int, *command: str) -> None:
    assert name not in stack.processes
    stack.ports[name] = port
    with (stack.home / f"{name}.log").open("ab") as log:
        environment = os.environ | {"PORT": str(port)}
        process = subprocess.Popen([sys.executable, *command], env=environment, stdout=log, stderr=log)
    stack.processes[name] = process


def restart(stack: Stack, name: str, **settings: str) -> None:
    stack.environment |= settings
    stack.kill(name)
    stack.start(name)
    stack.wait_ready(name)


def spec(folder: Path, judges: str) -> Path:
    file = folder / "experiment.yaml"
    file.write_text(SPEC.replace(OURS, judges))
    return file


def ran(stack: Stack, id: str, spec: Path) -> list[dict[str, Any]]:
    """The records of a run that completed."""
    stack.coordinator.submit(id, spec).raise_for_status()
    ended = stack.coordinator.finish(id)
    assert ended["state"] == "completed", ended["cause"]
    records = stack.coordinator.responses(id)
    assert len(records) == UNITS * ITEMS
    return records


def judge_of(stack: Stack, id: str, name: str = "judge") -> tuple[str, str | None]:
    info = stack.coordinator.get(id, "/manifest")["services"][f"judge:{name}"]
    return info["implementation"], info["model"]


def scores(records: list[dict[str, Any]]) -> dict[str, list[float | None]]:
    """Every score, by the judge and the rubric that gave it."""
    found: dict[str, list[float | None]] = {}
    for one in (judgment for record in records for judgment in record["judgments"]):
        found.setdefault(f"{one['judge']} {one['rubric']}", []).append(one["score"])
    return found


def without_judgments(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record | {"judgments": None} for record in records]


def plumbline(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PLUMBLINE_URL": stack.url("coordinator"), "PLUMBLINE_HOME": str(stack.home)}
    command = [sys.executable, "-m", "plumbline", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_a_setting_of_our_judge(stack: Stack, folder: Path) -> None:
    """The same file under three judges: what is judged is the same, and each run tells who judged it."""
    before = ran(stack, "rules", spec(folder, OURS))
    assert judge_of(stack, "rules") == ("rules", None)
    start(stack, "model", port := free_port(), str(RECORDED_MODEL), str(port), "--otherwise", REPLY)
    backend = {"JUDGE_IMPLEMENTATION": "openai", "JUDGE_BACKEND_URL": f"{stack.url('model')}/v1"}
    try:
        for model in ("one", "another"):
            restart(stack, "judge", **backend, JUDGE_MODEL=model)
            records = ran(stack, model, spec(folder, JUST_EVAL))
            assert judge_of(stack, model) == ("openai", model)
            regular, safety = UNITS * 8, UNITS * 2  # items 0 and 9 are about safety
            assert scores(records) == {
                "judge just-eval-safety": [4.0] * safety,
                "judge just-eval-multi": [4.0] * 5 * regular,
            }
            assert without_judgments(records) == without_judgments(before)
            assert f"The model {model} as judge on a rubric" in report(stack, model)
    finally:
        restart(stack, "judge", JUDGE_IMPLEMENTATION="rules")


def test_another_url(stack: Stack, folder: Path) -> None:
    ours = stack.environment["COORDINATOR_JUDGE_URL"]
    restart(stack, "coordinator", COORDINATOR_JUDGE_URL=stack.url("minimal"))
    try:
        records = ran(stack, "minimal", spec(folder, f"judges: [{{{FORM}}}]"))
        assert judge_of(stack, "minimal") == ("minimal", None)
        assert {name: len(given) for name, given in scores(records).items()} == {"judge form": 2 * UNITS * ITEMS}
        assert all(score is not None for given in scores(records).values() for score in given)
        assert "Looks at the last character of a response" in report(stack, "minimal")
    finally:
        restart(stack, "coordinator", COORDINATOR_JUDGE_URL=ours)


def test_several_judges_of_one_experiment(stack: Stack, folder: Path) -> None:
    both = f"judges: [{{rubrics: {{regular: rules, safety: rules-safety}}}}, {{name: minimal, {FORM}}}]"
    records = ran(stack, "both", spec(folder, both))
    assert (judge_of(stack, "both"), judge_of(stack, "both", "minimal")) == (("rules", None), ("minimal", None))
    given = scores(records)
    assert set(given) == {"judge rules", "judge rules-safety", "minimal form"}
    assert (
        given["minimal form"]
        == scores(ran(stack, "alone", spec(folder, f"judges: [{{name: minimal, {FORM}}}]")))["minimal form"]
    )
    means = stack.coordinator.get("both", "/results")["means"]
    assert {mean["aspect"] for mean in means if mean["judge"] == "minimal"} == {"ending", "length"}
    assert {mean["aspect"] for mean in means if mean["judge"] == "judge"} > {"language", "repetition"}
    page = report(stack, "both")
    for words in ("Means by judge", "Means by minimal", "Looks at the last character of a response"):
        assert words in page
    exported = folder / "both.jsonl"
    assert plumbline(stack, "export", "both", "--format", "jsonl", "--output", str(exported)).returncode == 0
    lines = [json.loads(line) for line in exported.read_text("utf-8").splitlines()]
    assert all({"judge", "minimal"} == {one["judge"] for one in line["judgments"]} for line in lines)


def test_a_judge_replaced_in_mid_run_is_waited_for_and_its_scores_are_not_mixed(stack: Stack, folder: Path) -> None:
    coordinator, port = stack.coordinator, stack.ports["judge"]
    coordinator.submit("mixed", spec(folder, OURS)).raise_for_status()
    wait_for(lambda: coordinator.phase("mixed", "prepare")["state"] == "done", 60, "the first phase to end")
    stack.kill("judge")
    start(stack, "stranger", port, str(MINIMAL_JUDGE))
    wait_for(
        lambda: "is minimal (no model)" in (coordinator.phase("mixed", "judge")["message"] or ""), 120, "a message"
    )
    assert "judged by rules (no model). Start that one again" in coordinator.phase("mixed", "judge")["message"]
    stack.kill("stranger")
    stack.start("judge")
    assert coordinator.finish("mixed")["state"] == "completed"
    assert set(scores(coordinator.responses("mixed"))) == {"judge rules", "judge rules-safety"}


def test_what_is_no_judge_is_refused_with_its_place(stack: Stack, folder: Path) -> None:
    file = spec(folder, f"judges:\n  - {{rubrics: {{regular: rules}}}}\n  - {{name: impostor, {FORM}}}")
    checked = plumbline(stack, "run", str(file), "--check")
    assert checked.returncode == 2
    said = " ".join(checked.stderr.split())
    assert "judges[1]" in said and "answers the contract 'translator/1.0.0'" in said and "plumbline conform" in said
    refused = stack.coordinator.submit("refused", file)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:plumbline:problem:invalid-spec")


def test_a_judge_that_is_not_there_is_a_warning_and_is_waited_for(stack: Stack, folder: Path) -> None:
    coordinator, file = stack.coordinator, spec(folder, f"judges: [{{name: absent, {FORM}}}]")
    checked = coordinator.http.post("/v1/checks", json=coordinator.submission(file)).raise_for_status().json()
    assert any(warning.startswith("judge absent: could not be asked") for warning in checked["warnings"])
    coordinator.submit("absent", file).raise_for_status()
    wait_for(lambda: coordinator.phase("absent", "prepare")["message"] is not None, 60, "a message")
    assert "does not answer" in coordinator.phase("absent", "prepare")["message"]
    start(stack, "absent", stack.ports["absent"], str(MINIMAL_JUDGE))
    assert coordinator.finish("absent")["state"] == "completed"
    assert judge_of(stack, "absent", "absent") == ("minimal", None)


def test_a_judge_that_answers_garbage_fails_the_experiment_before_its_work(stack: Stack, folder: Path) -> None:
    stack.coordinator.submit("garbage", spec(folder, f"judges: [{{name: garbage, {FORM}}}]")).raise_for_status()
    ended = stack.coordinator.finish("garbage")
    assert ended["state"] == "failed"
    assert "the aspects judged are not ending, length" in ended["cause"]
    assert {phase["name"]: phase["state"] for phase in ended["phases"]}["generate"] == "pending"


def test_a_wrong_judgment_is_recorded_with_its_cause_and_asked_for_once(stack: Stack, folder: Path) -> None:
    records = ran(stack, "sloppy", spec(folder, f"judges: [{{name: sloppy, {FORM}}}]"))
    for record in records:
        wrong = "contract-broken: the aspects judged are not ending, length" if record["item"] == "3" else None
        assert [(one["aspect"], one["missing"]) for one in record["judgments"]] == [
            ("ending", wrong),
            ("length", wrong),
        ]
    assert stack.coordinator.phase("sloppy", "judge")["failed"] == UNITS
    tests, batches = 1, 2 * UNITS  # eight regular items and two about safety
    assert stack.log("sloppy").count("POST /v1/judgments") == tests + batches


def report(stack: Stack, id: str) -> str:
    return stack.coordinator.http.get(f"/v1/experiments/{id}/report").raise_for_status().text
