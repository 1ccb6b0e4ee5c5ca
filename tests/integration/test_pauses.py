"""What cannot go on is paused, keeps all, and ends as if nothing had been; what failed is retried alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.test_killed_services import outcome
from tests.model_free import write_spec
from tests.services import MODEL_FREE
from tests.stack import Stack, free_port, wait_for
from tests.troubled import Troubled

ITEMS, BATCH = 8, 2
GENERATIONS = "/v1/generations"
REQUESTS = 2 * 2 * ITEMS // BATCH  # two arms, two languages


class Case:
    """A stack whose generator is behind a troubled one, and what an undisturbed experiment ends with."""

    def __init__(self, stack: Stack, generator: Troubled, spec: Path) -> None:
        self.stack, self.generator, self.spec = stack, generator, spec
        self.coordinator = stack.coordinator
        self.undisturbed: dict[str, Any] = {}

    def submit(self, id: str, **changes: Any) -> None:
        file = self.spec.with_name(f"{id}.yaml")
        file.write_text(yaml.safe_dump(yaml.safe_load(self.spec.read_text()) | changes))
        self.generator.asked.clear()
        self.coordinator.submit(id, file).raise_for_status()

    def post(self, id: str, what: str, **body: Any) -> dict[str, Any]:
        answer = self.coordinator.http.post(f"/v1/experiments/{id}/{what}", json=body or None)
        return dict(answer.raise_for_status().json())

    def paused(self, id: str) -> str:
        """Wait until it is paused; why."""
        wait_for(lambda: self.coordinator.get(id)["state"] == "paused", 60, f"{id} to be paused")
        return str(self.coordinator.get(id)["cause"])

    def generations(self) -> int:
        return self.generator.asked.count(GENERATIONS)

    def ends_undisturbed(self, id: str) -> dict[str, Any]:
        ended = self.coordinator.finish(id, 120)
        assert (ended["state"], ended["cause"]) == ("completed", None)
        assert {(phase["state"], phase["failed"]) for phase in ended["phases"]} == {("done", 0)}
        assert all(phase["done"] == phase["total"] for phase in ended["phases"])
        assert outcome(self.coordinator, id) == self.undisturbed
        return ended


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    home = tmp_path_factory.mktemp("pauses")
    spec = write_spec(home, ITEMS)
    smaller = yaml.safe_load(spec.read_text()) | {"languages": ["en", "fr"], "trainings": {}}
    smaller["arms"] = [arm for arm in smaller["arms"] if "weights" not in arm]
    spec.write_text(yaml.safe_dump(smaller))
    port = free_port()
    settings = MODEL_FREE | {
        "COORDINATOR_BATCH_SIZE": str(BATCH),
        "COORDINATOR_PATIENCE_S": "2",
        "COORDINATOR_SERVICES": '{"generator": {"concurrency": 4}}',
        "COORDINATOR_GENERATOR_URL": f"http://127.0.0.1:{port}",
    }
    stack = Stack(home / "home", settings)
    with stack, Troubled(stack.url("generator"), port) as generator:
        case = Case(stack, generator, spec)
        case.submit("undisturbed")
        assert case.coordinator.finish("undisturbed")["state"] == "completed"
        case.undisturbed = outcome(case.coordinator, "undisturbed")
        yield case


@pytest.fixture(autouse=True)
def no_trouble(case: Case) -> Iterator[None]:
    yield
    case.generator.trouble = lambda path, body: None


def test_a_wrong_credential_pauses_until_somebody_resumes(case: Case) -> None:
    case.generator.trouble = lambda path, body: (401, {}) if case.generations() >= 3 and path == GENERATIONS else None
    case.submit("credentials")
    cause = case.paused("credentials")
    assert "answered 401" in cause and "`plumbline resume credentials`" in cause
    assert case.coordinator.phase("credentials", "generate")["failed"] == 0
    case.generator.trouble = lambda path, body: None
    assert case.post("credentials", "resume")["attempt"] == 2
    case.ends_undisturbed("credentials")
    assert case.generations() == REQUESTS


FIELD = {"place": "body.decoding.stop_loops", "message": "Extra inputs are not permitted"}
REFUSALS: dict[str, dict[str, Any]] = {
    "unsupported-decoding": {"detail": "stop_loops: nothing that it can do; leave it out.", "errors": []},
    # Of a generator that has an older version of the contract.
    "invalid-request": {"detail": "1 fault(s) in the request; the first: decoding.stop_loops", "errors": [FIELD]},
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_generator_that_refuses_the_decoding_pauses_before_an_item_fails(case: Case, kind: str) -> None:
    problem = {"type": f"urn:plumbline:problem:{kind}", "title": "No", "status": 422, "instance": None}
    content = json.dumps(problem | REFUSALS[kind]).encode()
    case.generator.trouble = lambda path, body: (422, {}, content) if path == GENERATIONS else None
    case.submit(kind)
    cause = case.paused(kind)
    assert REFUSALS[kind]["detail"] in cause and "another `decoding`" in cause
    assert case.coordinator.phase(kind, "generate")["failed"] == 0
    case.generator.trouble = lambda path, body: None
    case.post(kind, "resume")
    case.ends_undisturbed(kind)


def test_a_service_that_is_away_for_long_pauses_and_its_return_resumes(case: Case) -> None:
    case.generator.trouble = lambda path, body: (503, {"retry-after": "1"}) if case.generations() >= 3 else None
    case.submit("away")
    assert "It goes on by itself when generator is ready" in case.paused("away")
    case.generator.trouble = lambda path, body: None
    assert case.ends_undisturbed("away")["attempt"] == 2
    assert case.generations() == REQUESTS


def test_a_busy_service_is_asked_by_fewer_at_once(case: Case) -> None:
    refused = list[str]()

    def busy(path: str, body: bytes) -> tuple[int, dict[str, str]] | None:
        if path != GENERATIONS or len(refused) >= 6:
            return None
        refused.append(path)
        return 429, {"retry-after": "1"}

    case.generator.trouble = busy
    case.submit("busy")
    wait_for(lambda: bool(case.coordinator.phase("busy", "generate")["flow"]), 60, "requests")
    seen = set[int]()

    def slowed() -> bool:
        seen.update(flow["at_once"] for flow in case.coordinator.phase("busy", "generate")["flow"])
        return bool(seen & {1, 2})

    wait_for(slowed, 60, "fewer requests at once")
    ended = case.ends_undisturbed("busy")
    (flow,) = next(phase["flow"] for phase in ended["phases"] if phase["name"] == "generate")
    assert (flow["service"], flow["most"], flow["per_second"]) == ("generator", 4, None)
    assert case.generations() == REQUESTS


def test_what_failed_is_retried_alone(case: Case) -> None:
    """Two items of every arm and language are in the batch that the generator cannot do."""
    case.generator.trouble = lambda path, body: (500, {}) if b"about the number 3" in body else None
    case.submit("failed")
    ended = case.coordinator.finish("failed")
    failed = {phase["name"]: phase["failed"] for phase in ended["phases"]}
    assert (ended["state"], failed["generate"]) == ("completed", 4 * BATCH)
    case.generator.trouble = lambda path, body: None
    case.generator.asked.clear()
    assert case.post("failed", "retry")["state"] == "queued"
    case.ends_undisturbed("failed")
    assert case.generations() == 4
    assert case.post("failed", "retry")["attempt"] == 2  # nothing has failed
    refused = case.coordinator.http.post("/v1/experiments/failed/resume")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:plumbline:problem:has-ended")


def test_a_limit_stops_a_run_and_a_raised_one_lets_it_go_on(case: Case) -> None:
    case.submit("limited", limits={"calls": 7, "tokens": 1_000_000})
    assert "limit of 7 calls is reached" in case.paused("limited")
    stopped = case.coordinator.get("limited")
    assert (stopped["spent"]["calls"], stopped["finished"]) == (7, None)
    # The translator was asked for one language, and that counts.
    assert case.generations() == 7 - ITEMS // BATCH
    case.post("limited", "resume")
    assert "limit of 7 calls" in case.paused("limited")  # nothing was raised
    case.post("limited", "resume", limits={"calls": 1000})
    assert case.ends_undisturbed("limited")["limits"] == {"calls": 1000, "tokens": 1_000_000, "hours": None}
    assert case.generations() == REQUESTS


@pytest.mark.parametrize("what", ["pause", "cancel"])
def test_what_people_stop_stays_as_it_is_and_can_be_resumed(case: Case, what: str) -> None:
    case.submit(what)
    wait_for(lambda: case.coordinator.phase(what, "generate")["done"] > 0, 60, "some responses")
    assert case.post(what, what)["state"] == {"pause": "paused", "cancel": "cancelled"}[what]
    case.post(what, "resume")
    assert case.ends_undisturbed(what)["attempt"] == 2


def test_a_full_disk_pauses_and_room_resumes(case: Case) -> None:
    """As if there were less than an exabyte too little."""
    stack = case.stack
    stack.environment["COORDINATOR_LEAST_FREE_BYTES"] = str(10**18)
    for _ in range(2):
        stack.processes["coordinator"].terminate()
        stack.processes["coordinator"].wait(30)
        stack.start("coordinator")
        stack.wait_ready("coordinator")
        if stack.environment.pop("COORDINATOR_LEAST_FREE_BYTES", None):
            case.submit("full")
            assert "Make room; it then goes on by itself." in case.paused("full")
    case.ends_undisturbed("full")
