"""Loops that are ended, from the experiment file to responses, results, report, tokens, export and plan."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services import MODEL_FREE
from tests.stack import Stack

ITEMS, MOST = 24, 400
SPEC = """\
name: loops
languages: [en]
dataset: {path: items.jsonl}
models: {canned: {base: canned}}
arms: [{name: zero-shot, model: canned}, {name: URIAL, model: canned, prompting: urial}]
decoding: {max_new_tokens: 400, stop_loops: {audit_share: 0.5}}
judges: [{rubrics: {regular: rules}}]
analysis: {resamples: 200}
"""
SENTENCE = "The dog ran over the hill and came back home. "
REPEATED, ENDS = "Well, " + SENTENCE * 60, "The dog ran over the hill. It came home in the evening."
# The language turns in the part that is saved.
TURNS = "Well, " + SENTENCE * 20 + "Puis le chien est rentré à la maison et tout le monde a bien dormi. " * 12


def zero_shot(number: int) -> str:
    return f"{instruction(number)}\n"


def fenced(number: int) -> str:
    return f"# Query:\n```\n{instruction(number)}\n```\n\n# Answer:\n```\n"


def text(number: int) -> str:
    return [REPEATED, ENDS, TURNS][number % 3]


def instruction(number: int) -> str:
    return f"Say something about dog number {number}."


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("loops")
    answers = [
        {"prompt": prompt(number), "text": text(number)} for number in range(ITEMS) for prompt in (zero_shot, fenced)
    ]
    rows = [{"id": number, "instruction": instruction(number)} for number in range(ITEMS)]
    for name, lines in (("answers", answers), ("items", rows)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "loops.yaml").write_text(SPEC)
    (folder / "off.yaml").write_text(SPEC.replace("{audit_share: 0.5}", "null"))
    settings = MODEL_FREE | {"GENERATOR_CANNED_FILE": str(folder / "answers.jsonl")}
    with Stack(folder / "home", settings) as running:
        running.coordinator.submit("loops", folder / "loops.yaml").raise_for_status()
        assert running.coordinator.finish("loops")["state"] == "completed"
        yield running


def plumbline(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PLUMBLINE_URL": stack.url("coordinator"), "PLUMBLINE_HOME": str(stack.home)}
    command = [sys.executable, "-m", "plumbline", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done


def found(detections: list[dict[str, Any]], detector: str) -> str:
    return next(str(one["finding"]) for one in detections if one["detector"] == detector)


def test_loops_are_ended_or_audited_and_all_of_them_are_found(stack: Stack) -> None:
    for one in stack.coordinator.responses("loops"):
        whole = text(int(one["item"]))
        if whole == ENDS:
            assert (one["raw_response"], one["finish_reason"], one["loop"]) == (ENDS, "eos", None)
        elif one["audited"]:
            assert one["finish_reason"] in ("eos", "length") and whole.startswith(one["raw_response"])
            assert one["loop"]["tokens_saved"] == 0
        else:
            assert one["finish_reason"] == "loop" and one["raw_response"] == whole[: one["loop"]["met_at"]]
            assert one["loop"]["tokens_saved"] == MOST - one["completion_tokens"] > 0
            assert found(one["detections"], "infinite_loop") == "found"
            assert found(one["detections"], "truncated") == "undecided"
        assert bool(one["detections_if_ended"]) == (one["audited"] and whole != ENDS)


def test_what_ending_would_have_changed_is_shown(stack: Stack) -> None:
    responses, results = stack.coordinator.responses("loops"), stack.coordinator.get("loops", "/results")
    audited = [one for one in responses if one["audited"] and one["loop"]]
    turned = [one for one in audited if text(int(one["item"])) == TURNS]
    assert audited and turned
    overall, *by_detector = results["loop_audits"]
    assert (overall["detector"], overall["n"], overall["changed"]) == (None, len(audited), len(turned))
    changed = {one["detector"]: one["changed"] for one in by_detector}
    assert (changed["wrong_language"], changed["infinite_loop"]) == (len(turned), 0)
    for one in results["early_stops"]:
        mine = [response for response in responses if response["arm"] == one["arm"]]
        saved = sum(response["loop"]["tokens_saved"] for response in mine if response["loop"])
        written = sum(response["completion_tokens"] for response in mine)
        assert (one["tokens"], one["tokens_saved"]) == (written, saved)
        assert one["saved"] == pytest.approx(saved / (saved + written))
    assert any("ending would have changed" in one for one in results["findings"])
    report = stack.coordinator.http.get("/v1/experiments/loops/report").text
    assert "Loops ended early" in report and f"{len(turned)} of {len(audited)}" in report


def test_tokens_are_told_by_status_manifest_report_and_export(stack: Stack, tmp_path: Path) -> None:
    experiment, manifest = stack.coordinator.get("loops"), stack.coordinator.get("loops", "/manifest")
    responses = stack.coordinator.responses("loops")
    for one in experiment["usage"]:
        mine = [response for response in responses if response["arm"] == one["arm"]]
        assert one["prompt_tokens"] == sum(response["prompt_tokens"] for response in mine)
        assert one["tokens_saved"] == sum(response["loop"]["tokens_saved"] for response in mine if response["loop"])
    assert experiment["spent"]["tokens"] == sum(
        one["prompt_tokens"] + one["completion_tokens"] for one in experiment["usage"]
    )
    assert manifest["usage"] == manifest["analysis"]["usage"] == experiment["usage"]
    assert {"path": "decoding.temperature", "value": 0.0} in manifest["defaults"]
    assert "saved by ending loops" in plumbline(stack, "status", "loops").stdout
    plumbline(stack, "export", "loops", "--output", str(tmp_path / "out"))
    repeat = ("analyze", str(tmp_path / "out"), "--folder", str(tmp_path / "again"), "--json")
    again = json.loads(plumbline(stack, *repeat).stdout)["results"]
    results = stack.coordinator.get("loops", "/results")
    for name in ("early_stops", "loop_audits", "loop_scores"):
        assert again[name] == results[name]
    assert results["loop_scores"]


def test_a_plan_without_ending_counts_what_was_saved(stack: Stack) -> None:
    def tokens(name: str) -> list[dict[str, Any]]:
        submission = stack.coordinator.submission(stack.home.parent / f"{name}.yaml")
        plan = stack.coordinator.http.post("/v1/plans", json=submission).raise_for_status().json()
        return list(plan["tokens"])

    usage = {one["arm"]: one for one in stack.coordinator.get("loops")["usage"]}
    for ended, off in zip(tokens("loops"), tokens("off"), strict=True):
        mine = usage[ended["arm"]]
        assert ended["completion_tokens"] == mine["completion_tokens"]
        assert off["completion_tokens"] == mine["completion_tokens"] + mine["tokens_saved"]
