"""What no schema can say about a trainer. The one job that is started is cancelled."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from plumbline_conformance.target import Target

UNKNOWN = f"/v1/trainings/conformance-{uuid.uuid4().hex}"
ENDED = {"completed", "failed", "cancelled"}


def request(target: Target, seed: int = 0) -> dict[str, Any]:
    """The training that the caller gave, or one on data that no store has."""
    asked: dict[str, Any] = {
        "method": "sft",
        "model": "no-such-model",
        "data": {"uri": "artifact:conformance-no-such-data", "sha256": "0" * 64, "bytes": 1},
        "hyperparameters": {"learning_rate": 1e-4},
    }
    if target.training is not None:
        asked = json.loads(Path(target.training).read_text(encoding="utf-8"))
    asked["hyperparameters"]["seed"] = seed
    return asked


@pytest.fixture(scope="module")
def job(client: Any, target: Target) -> str:
    """The path of a job that was accepted."""
    path = f"/v1/trainings/conformance-{uuid.uuid4().hex}"
    response = client.put(path, json=request(target))
    if response.status_code == 422 and target.training is None:
        pytest.skip("it refuses a training on no data at once; give one that it accepts with --training")
    assert response.status_code == 202, response.text
    assert response.json()["id"] == path.rpartition("/")[2]
    return path


def test_an_unknown_id_is_a_problem(client: Any) -> None:
    """A training that nobody asked for is a 404, to look at and to cancel."""
    client.problem(404, "GET", UNKNOWN)
    client.problem(404, "POST", f"{UNKNOWN}/cancel")
    client.problem(404, "GET", f"{UNKNOWN}/events")


def test_the_same_id_and_request_is_one_job(client: Any, job: str, target: Target) -> None:
    """Putting the same request under the same id again is the same job."""
    first, again = client.ok("GET", job), client.ok("PUT", job, request(target))
    assert (again["id"], again["created"]) == (first["id"], first["created"])


def test_another_request_under_the_same_id_is_a_conflict(client: Any, job: str, target: Target) -> None:
    """An id belongs to one request: another one is a 409 `id-taken`."""
    problem = client.problem(409, "PUT", job, request(target, seed=1))
    assert problem["type"].endswith("id-taken")


def test_cancelling_twice_is_harmless(client: Any, job: str) -> None:
    """Cancelling can be repeated."""
    for _ in range(2):
        assert client.ok("POST", f"{job}/cancel")["id"] == job.rpartition("/")[2]


def test_the_history_ends_with_the_job(client: Any, job: str) -> None:
    """Its events count from 1, and the stream ends in the state that the job then has."""
    client.ok("POST", f"{job}/cancel")
    history = client.get(f"{job}/events").text
    events = [json.loads(line.removeprefix("data:")) for line in history.splitlines() if line.startswith("data:")]
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["state"] == client.ok("GET", job)["state"]
    assert events[-1]["state"] in ENDED


def test_an_unknown_field_is_refused(client: Any, target: Target) -> None:
    """A misspelt option fails loudly, and leaves no job."""
    client.problem(422, "PUT", UNKNOWN, request(target) | {"methd": "dpo"})
    client.problem(404, "GET", UNKNOWN)
