"""What is kept of experiments: what they were made of, what repeats their analysis, and answers, which are reused."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from plumbline_contracts.experiment import leaves

from tests.model_free import write_spec
from tests.services import MODEL_FREE
from tests.stack import Stack

ITEMS = 6
RESPONSES = 3 * 2 * ITEMS  # arms, languages
STAGES = ("translate", "train", "generate", "detect", "judge")
ANSWERED = {"translate": ITEMS, "train": 1, "generate": RESPONSES, "detect": RESPONSES, "judge": RESPONSES}
PATHS = r"/v1/(translations|trainings/\{id\}|generations|detections|judgments)"


class Runs:
    """Experiments on one stack."""

    def __init__(self, stack: Stack, spec: Path) -> None:
        self.stack, self.spec = stack, spec

    def __call__(self, id: str, *changes: tuple[str, str], **options: Any) -> Counter[str]:
        """Run the experiment file with these changes; the answers that it asked the services for, by path."""
        before, coordinator = self._asked(), self.stack.coordinator
        body = self._submission(id, *changes) | options
        coordinator.http.put(f"/v1/experiments/{id}", json=body).raise_for_status()
        ended = coordinator.finish(id)
        assert ended["state"] == "completed", ended
        return self._asked() - before

    def planned(self, what: str, *changes: tuple[str, str]) -> dict[str, int | None]:
        """By phase, how many items a plan says are `cached`, or how many `calls` there will be."""
        plan = self.stack.coordinator.http.post("/v1/plans", json=self._submission("plan", *changes))
        return {one["phase"]: one[what] for one in plan.raise_for_status().json()["phases"]}

    def _submission(self, id: str, *changes: tuple[str, str]) -> dict[str, Any]:
        text = self.spec.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        changed = self.spec.with_name(f"{id}.yaml")
        changed.write_text(text)
        return self.stack.coordinator.submission(changed)

    def _asked(self) -> Counter[str]:
        found = Counter[str]()
        for name, process in self.stack.processes.items():
            if name == "coordinator" or process.poll() is not None:
                continue
            text = httpx.get(f"{self.stack.url(name)}/metrics").text
            line = rf'^plumbline_requests_total\{{method="(?:POST|PUT)",route="{PATHS}".*\}} (\d+)'
            for path, count in re.findall(line, text, re.MULTILINE):
                found[path.split("/")[0]] += int(count)
        return found

    def reused(self, id: str) -> dict[str, int]:
        return {phase["name"]: phase["reused"] for phase in self.stack.coordinator.get(id)["phases"]}

    def outcome(self, id: str) -> dict[str, Any]:
        """Everything that an experiment ends with but the report and its folder, which have the experiment's id."""
        results = self.stack.coordinator.get(id, "/results")
        del results["report"], results["folder"]
        return {"responses": self.stack.coordinator.responses(id), "results": results}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    spec = write_spec(tmp_path_factory.mktemp("spec"), ITEMS)
    text = spec.read_text().replace("reuse: false\n", "").replace("resamples: 200", "resamples: 100")
    spec.write_text(text.replace("[en, fr, es]", "[en, fr]"))
    with Stack(tmp_path_factory.mktemp("home"), MODEL_FREE) as stack:
        runs = Runs(stack, spec)
        assert set(runs("first")) == {"translations", "trainings", "generations", "detections", "judgments"}
        yield runs


def test_the_manifest_says_what_was_given_and_what_was_filled_in(runs: Runs) -> None:
    manifest = runs.stack.coordinator.get("first", "/manifest")
    assert (manifest["text"], manifest["source"]) == (runs.spec.read_text(), "first.yaml")
    defaults = {one["path"]: one["value"] for one in manifest["defaults"]}
    assert defaults["decoding.temperature"] == 0 and defaults["arms[0].prompting"] == "zero-shot"
    assert "decoding.max_new_tokens" not in defaults and "arms[1].prompting" not in defaults
    resolved = leaves(manifest["spec"])
    assert all(resolved[path] == value for path, value in defaults.items())
    assert manifest["seeds"] == {"decoding": 0, "analysis": 0, "training sft": 0}
    assert manifest["packages"]["plumbline-coordinator"] and manifest["packages"]["dbos"]
    assert set(manifest["services"]) == {"translator", "trainer", "generator", "analyzer", "judge:judge"}
    assert set(manifest["prompts"]) == {"urial/en", "urial/fr"}
    assert set(manifest["files"]) == {"dataset", "training sft"}


def test_the_analysis_is_repeated_from_an_export_without_services(runs: Runs, tmp_path: Path) -> None:
    folder, coordinator = tmp_path / "first", runs.stack.coordinator
    plumbline(runs.stack, "export", "first", "--output", str(folder))
    again = plumbline(runs.stack, "analyze", str(folder), "--folder", str(tmp_path / "again"), "--json")
    found, results = json.loads(again)["results"], coordinator.get("first", "/results")
    assert json.loads((folder / "results.json").read_text()) == results
    # Every number and sentence; page and folder say under which name the observations were stored.
    assert {name for name in results if found[name] != results[name]} <= {"report", "folder"}
    assert json.loads((folder / "manifest.json").read_text()) == coordinator.get("first", "/manifest")


def test_a_second_run_asks_for_nothing_and_is_the_same(runs: Runs) -> None:
    asked = runs("second", ("name: model-free", "name: second"))
    assert asked == {"judgments": 2}  # the test item of every rubric
    reused = runs.reused("second")
    judged = sum(any(one["score"] is not None for one in record["judgments"]) for record in responses(runs, "first"))
    assert {stage: reused[stage] for stage in STAGES} == ANSWERED | {"judge": judged}
    assert runs.outcome("second") == runs.outcome("first")
    manifest = runs.stack.coordinator.get("second", "/manifest")
    assert manifest["reused"]["generate"] == {"first": RESPONSES}
    assert manifest["models"]["zero-shot"]["weights_sha256"] is None
    assert any("taken from the experiment first" in note for note in manifest["analysis"]["notes"])


def test_without_reuse_everything_is_asked_for_and_is_the_same(runs: Runs) -> None:
    asked = runs("anew", reuse=False)
    assert asked["generations"] == 6 and asked["translations"] == 1 and asked["trainings"] == 1
    assert not any(runs.reused("anew").values())
    assert runs.stack.coordinator.get("anew", "/manifest")["spec"]["reuse"] is False
    assert runs.outcome("anew") == runs.outcome("first")


def test_an_added_arm_asks_for_itself_alone(runs: Runs) -> None:
    arm = "  - {name: chat, model: canned, prompting: chat}\n"
    change = ("  - {name: SFT", f"{arm}  - {{name: SFT")
    planned, calls = runs.planned("cached", change), runs.planned("calls", change)
    asked = runs("arm", change)
    assert asked["generations"] == asked["detections"] == 2 and not asked["translations"] and not asked["trainings"]
    judged = asked["judgments"] - 2  # it is examined on two rubrics before
    counted = {"generate": asked["generations"], "detect": asked["detections"], "judge": judged}
    assert calls == {"translate": 0, "train": 0, "analyze": 1} | counted
    assert runs.reused("arm")["generate"] == RESPONSES
    assert planned == {stage: runs.reused("arm")[stage] for stage in STAGES} | {"analyze": None}
    assert set(runs.planned("cached", ("name: model-free", "name: model-free\nreuse: false")).values()) == {0, None}


def test_an_added_language_asks_for_itself_alone(runs: Runs) -> None:
    asked = runs("more", ("[en, fr]", "[en, fr, es]"))
    # `echo` translates a text into itself, so only URIAL's own words are new to the generator.
    assert asked["generations"] == asked["translations"] == 1 and not asked["trainings"]
    assert runs.reused("more")["translate"] == ITEMS


def test_another_rubric_is_judged_and_nothing_else(runs: Runs) -> None:
    asked = runs("rubric", ("safety: rules-safety", "safety: rules"))
    assert set(asked) == {"judgments"}
    assert runs.reused("rubric")["generate"] == RESPONSES


def plumbline(stack: Stack, *arguments: str) -> str:
    environment = os.environ | {"PLUMBLINE_URL": stack.url("coordinator")}
    command = [sys.executable, "-m", "plumbline", *arguments]
    return subprocess.run(command, env=environment, check=True, timeout=300, stdout=subprocess.PIPE, text=True).stdout


def responses(runs: Runs, id: str) -> list[dict[str, Any]]:
    return runs.stack.coordinator.responses(id)


def test_recorded_responses_are_judged_and_analyzed_while_the_other_services_are_away(runs: Runs) -> None:
    """Last, as it ends services."""
    for name in ("translator", "generator", "trainer"):
        runs.stack.kill(name)
    rubric = ("safety: rules-safety", "safety: rules")
    asked = runs("judged", rubric, ("[en, fr]", "[fr]"), only="judge", recorded_in="first", reuse=False)
    assert set(asked) == {"judgments"}
    texts = {(one["arm"], one["language"], one["item"]): one["response"] for one in responses(runs, "first")}
    judged = responses(runs, "judged")
    assert len(judged) == 3 * ITEMS
    assert all(one["response"] == texts[one["arm"], one["language"], one["item"]] for one in judged)
    assert {score["rubric"] for one in judged for score in one["judgments"]} == {"rules"}
    runs.stack.kill("judge")
    assert not runs("analyzed", ("resamples: 100", "resamples: 101"), only="analyze")
    outcome = runs.outcome("analyzed")
    assert outcome["responses"] == responses(runs, "first")
    assert set(runs.stack.coordinator.get("analyzed", "/manifest")["services"]) >= {"generator", "judge:judge"}


def test_what_was_not_recorded_is_refused_with_what_differs(runs: Runs) -> None:
    coordinator = runs.stack.coordinator
    other = runs.spec.with_name("other.yaml")
    other.write_text(runs.spec.read_text().replace("max_new_tokens: 32", "max_new_tokens: 7"))
    body = coordinator.submission(other) | {"only": "judge"}
    refused = coordinator.http.put("/v1/experiments/other", json=body | {"recorded_in": "first"})
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:plumbline:problem:not-recorded")
    assert [one["place"] for one in refused.json()["errors"]] == ["decoding.max_new_tokens"]
    assert "7 here and 32 in first" in refused.json()["errors"][0]["message"]
    assert coordinator.http.put("/v1/experiments/other", json=body).json()["type"].endswith("not-recorded")
    nowhere = coordinator.http.put("/v1/experiments/other", json=body | {"recorded_in": "nowhere"})
    assert nowhere.status_code == 404
