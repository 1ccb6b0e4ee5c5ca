"""kill -9 in mid-run: the experiment ends as an undisturbed one, nothing lost, nothing done twice in the tables."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from plumbline_contracts.analyzer import Detector

from tests.chaos import System, endure
from tests.model_free import write_spec
from tests.services import MODEL_FREE
from tests.stack import Coordinator, Stack, wait_for
from tests.upgrades import older, orders_of_steps, restart

ITEMS, BATCH = 50, 8
BATCHES = 3 * 3 * -(-ITEMS // BATCH)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_spec(tmp_path_factory.mktemp("spec"), ITEMS)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    # Small batches, so that there are many moments to be killed at.
    settings = MODEL_FREE | {"COORDINATOR_BATCH_SIZE": str(BATCH)}
    with Stack(tmp_path_factory.mktemp("home"), settings) as running:
        yield running


@pytest.fixture(scope="module")
def undisturbed(stack: Stack, spec: Path) -> dict[str, Any]:
    coordinator = stack.coordinator
    coordinator.submit("undisturbed", spec).raise_for_status()
    assert coordinator.finish("undisturbed")["state"] == "completed"
    return outcome(coordinator, "undisturbed")


def outcome(coordinator: Coordinator, id: str) -> dict[str, Any]:
    """Everything an experiment ends with, but for its own id."""
    results = coordinator.get(id, "/results")
    del results["report"], results["folder"]
    return {"responses": coordinator.responses(id), "results": results}


def test_every_item_is_accounted_for(undisturbed: dict[str, Any]) -> None:
    responses = undisturbed["responses"]
    keys = {(one["arm"], one["language"], one["item"]) for one in responses}
    assert len(responses) == len(keys) == 3 * 3 * ITEMS
    for one in responses:
        assert (one["response"] is None) == (one["missing"] is not None)
        assert len(one["detections"]) == len(Detector)
        assert one["judgments"]
        assert all((score["score"] is None) == (score["missing"] is not None) for score in one["judgments"])


def test_anything_is_killed_at_random_moments(stack: Stack, spec: Path, undisturbed: dict[str, Any]) -> None:
    endure(System(stack, [stack], spec, BATCHES, under_way=2), undisturbed, outcome)


def test_an_experiment_begun_by_code_with_other_steps_ends_under_the_present_one(
    stack: Stack, spec: Path, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    system, coordinator = System(stack, [stack], spec, BATCHES, under_way=2), stack.coordinator
    before = system.answered()
    restart(stack, older(tmp_path))
    coordinator.submit("upgraded", spec).raise_for_status()
    wait_for(lambda: coordinator.phase("upgraded", "generate")["done"] > 0, 120, "some responses")
    restart(stack)
    ended = coordinator.finish("upgraded")
    assert (ended["state"], ended["cause"]) == ("completed", None)
    assert orders_of_steps(stack, "upgraded") == {"older", "flow"}
    assert outcome(coordinator, "upgraded") == undisturbed
    assert system.rows("upgraded") == system.rows("undisturbed")
    assert 0 <= system.answered() - before - BATCHES <= system.under_way


def test_a_service_that_is_killed_is_waited_for(stack: Stack, spec: Path, undisturbed: dict[str, Any]) -> None:
    coordinator = stack.coordinator
    stack.kill("judge")
    coordinator.submit("waited", spec).raise_for_status()
    wait_for(lambda: coordinator.phase("waited", "prepare")["message"] is not None, 60, "a message")
    assert "does not answer" in coordinator.phase("waited", "prepare")["message"]
    stack.start("judge")
    wait_for(lambda: coordinator.phase("waited", "generate")["done"] > 20, 120, "some responses")
    stack.kill("generator")
    wait_for(lambda: coordinator.phase("waited", "generate")["message"] is not None, 60, "a message")
    stack.start("generator")
    assert coordinator.finish("waited")["state"] == "completed"
    assert outcome(coordinator, "waited") == undisturbed
    assert coordinator.phase("waited", "generate")["message"] is None


def test_repeating_a_submission_is_harmless_and_another_under_its_id_is_refused(
    stack: Stack, spec: Path, undisturbed: dict[str, Any]
) -> None:
    coordinator = stack.coordinator
    assert coordinator.submit("undisturbed", spec).json()["state"] == "completed"
    other = spec.with_name("other.yaml")
    other.write_text(spec.read_text().replace("name: model-free", "name: other"))
    refused = coordinator.submit("undisturbed", other)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:plumbline:problem:id-taken")


def test_a_cancelled_experiment_stops_and_keeps_what_it_has(stack: Stack, spec: Path) -> None:
    coordinator = stack.coordinator
    coordinator.submit("cancelled", spec).raise_for_status()
    wait_for(lambda: coordinator.phase("cancelled", "generate")["done"] > 0, 120, "some responses")
    coordinator.http.post("/v1/experiments/cancelled/cancel").raise_for_status()
    kept = rows(stack, "cancelled")
    assert coordinator.get("cancelled")["state"] == "cancelled"
    wait_for(lambda: not under_way(stack), 60, "the workflows to stop")
    assert rows(stack, "cancelled") == kept
    assert coordinator.http.get("/v1/experiments/cancelled/results").status_code == 409
    assert len(coordinator.responses("cancelled")) == 3 * 3 * ITEMS


def asked(stack: Stack) -> int:
    """Batches that the generator was asked for so far."""
    text = httpx.get(f"{stack.url('generator')}/metrics").text
    counts = re.findall(
        r'^plumbline_requests_total{method="POST",route="[^"]*generations".*} (\d+)', text, re.MULTILINE
    )
    return sum(map(int, counts))


def under_way(stack: Stack) -> int:
    """Workflows that have not ended."""
    with closing(sqlite3.connect(stack.home / "coordinator.workflows.sqlite")) as connection:
        query = "select count(*) from workflow_status where status in ('ENQUEUED', 'PENDING')"
        return int(connection.execute(query).fetchone()[0])


def rows(stack: Stack, experiment: str) -> dict[str, int]:
    with closing(sqlite3.connect(stack.home / "coordinator.sqlite")) as connection:
        query = "select stage, count(*) from result where experiment = ? group by stage"
        return dict(connection.execute(query, [experiment]).fetchall())


def test_lists_are_filtered_and_paged_and_events_resume(stack: Stack, undisturbed: dict[str, Any]) -> None:
    http, everything = stack.coordinator.http, undisturbed["responses"]
    path = "/v1/experiments/undisturbed"
    found, after = list[dict[str, Any]](), dict[str, str]()
    while True:
        query = {"arm": "URIAL", "language": ["en", "es"], "category": "safety", "limit": 3} | after
        page = http.get(f"{path}/responses", params=query).raise_for_status().json()
        found += page["responses"]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    wanted = [one for one in everything if one["arm"] == "URIAL" and one["language"] != "fr"]
    assert found == [one for one in wanted if one["category"] == "safety"]
    low = http.get(f"{path}/responses", params={"max_score": 2, "limit": 1000}).json()["responses"]
    assert low == [one for one in everything if any((judged["score"] or 9) <= 2 for judged in one["judgments"])]
    for part in ("", "/results", "/manifest", "/report"):
        tag = http.get(path + part).headers["etag"]
        assert http.get(path + part, headers={"If-None-Match": tag}).status_code == 304
    events = http.get(f"{path}/events").text
    (id,) = re.findall(r"^id: (\w+)$", events, re.MULTILINE)
    assert http.get(f"{path}/events", headers={"Last-Event-ID": id}).text == events  # it has ended, which is told


def test_a_plan_rests_on_what_was_measured(stack: Stack, spec: Path, undisturbed: dict[str, Any]) -> None:
    http, submission = stack.coordinator.http, stack.coordinator.submission(spec)
    plan = http.post("/v1/plans", json=submission).raise_for_status().json()
    assert plan["check"] == http.post("/v1/checks", json=submission).json()
    phases = {one["phase"]: one for one in plan["phases"]}
    assert [*phases] == ["translate", "train", "generate", "detect", "judge", "analyze"]
    assert (phases["generate"]["items"], phases["generate"]["calls"]) == (9 * ITEMS, BATCHES)
    took = [one for one in stack.coordinator.get("undisturbed")["phases"] if one["name"] == "generate"]
    assert took[0]["finished"] > took[0]["started"] and phases["generate"]["seconds"] > 0
    assert plan["seconds"] == pytest.approx(sum(one["seconds"] for one in plan["phases"]))
    for arm in plan["tokens"]:
        mine = [one for one in undisturbed["responses"] if one["arm"] == arm["arm"]]
        for kind in ("prompt_tokens", "completion_tokens"):
            assert arm[kind] == pytest.approx(sum(one[kind] for one in mine), rel=0.1)
        assert arm["completion_tokens"] <= arm["completion_tokens_at_most"] == 3 * ITEMS * 32
    regular, safety = plan["comparisons"]
    assert regular["items"] + safety["items"] == ITEMS
    assert 0 < regular["score"] < regular["score_corrected"]
    assert regular["score"] < safety["score"]  # of which there are fewer
    assert any("the arms did not differ" in one for one in regular["assumptions"])  # `canned` says the same to all


def test_a_plan_does_not_guess_what_was_not_measured(stack: Stack, spec: Path) -> None:
    submission = stack.coordinator.submission(spec)
    submission["spec"] = submission["spec"].replace("{canned: {base: canned}}", "{canned: {base: org/another}}")
    plan = stack.coordinator.http.post("/v1/plans", json=submission).raise_for_status().json()
    generate = next(one for one in plan["phases"] if one["phase"] == "generate")
    assert (generate["seconds"], generate["basis"], plan["seconds"]) == (None, "no measurement yet", None)
    assert {one["prompt_tokens"] for one in plan["tokens"]} == {None}


def test_a_plan_says_which_limit_is_too_low(stack: Stack, spec: Path) -> None:
    submission = stack.coordinator.submission(spec)
    submission["spec"] += "\nlimits: {calls: 1, tokens: 100000000}\n"
    notes = stack.coordinator.http.post("/v1/plans", json=submission).raise_for_status().json()["notes"]
    (told,) = [one for one in notes if "limit" in one]
    assert "at its limit of 1 calls" in told
