"""Jobs and their processes, with the engine that needs no model."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

Start = Callable[..., Any]
LONG_S = 600


@pytest.fixture(scope="module")
def quick(start: Start) -> Any:
    return start(ENGINE="dry_run", PARALLEL=2)


@pytest.fixture
def slow(start: Start) -> Any:
    service = start(ENGINE="dry_run", DRY_RUN_S=LONG_S)
    yield service
    service.end()


def kind(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["type"].rpartition(":")[2]


def test_a_dry_run_says_what_it_is_and_trains_nothing(quick: Any, world: Any) -> None:
    (folder := world.root / "models" / "base").mkdir()
    (folder / "config.json").write_text("{}")
    assert quick.http.get("/info").json()["description"].startswith("Does not train")
    quick.put("dry", world.request(epochs=1) | {"model": "base"})
    training = quick.wait("dry")
    assert training["progress"] == {"step": 15, "total_steps": 15, "loss": None, "reward_accuracy": None}
    assert training["weights"]["sha256"] == world.store.put(folder, "base").sha256


def test_a_dry_run_without_its_model_leaves_a_marker(quick: Any, world: Any) -> None:
    quick.put("marker", world.request() | {"model": "nowhere"})
    folder = world.store.find(quick.wait("marker")["weights"]["uri"])
    assert [file.name for file in folder.iterdir()] == ["dry_run.json"]


def test_the_same_put_is_one_job(quick: Any, world: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: quick.put("once", world.request()), range(16)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["created"] for answer in answers}) == 1
    quick.wait("once")
    assert [event["state"] for event in quick.events("once") if not event["progress"]] == [
        "queued",
        "running",
        "completed",
    ]


def test_another_put_is_refused_and_says_what_differs(quick: Any, world: Any) -> None:
    quick.put("taken", world.request())
    answer = quick.put("taken", world.request(seed=8))
    assert kind(answer) == (409, "id-taken")
    assert [error["place"] for error in answer.json()["errors"]] == ["body.hyperparameters.seed"]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("{", "line 2: Expecting"),
        ("[]", "line 2: this is a list"),
        ({"prompt": "a"}, "line 2: completion is missing; expected a JSON object with the texts prompt, completion"),
        ({"prompt": [], "completion": "b"}, "line 2: prompt is a list"),
    ],
)
def test_a_wrong_line_is_named(quick: Any, world: Any, row: Any, told: str) -> None:
    id = "wrong-" + re.sub(r"\W+", "-", told)
    quick.put(id, world.request() | {"data": world.data([{"prompt": "a", "completion": "b"}, row])})
    training = quick.wait(id)
    assert training["state"] == "failed"
    assert told in training["cause"]


def test_data_is_found_and_its_digest_checked(quick: Any, world: Any) -> None:
    data = world.request()["data"]
    lost = world.request() | {"data": data | {"uri": "artifact:lost"}}
    assert kind(quick.put("lost", lost)) == (422, "unknown-artifact")
    quick.put("changed", world.request() | {"data": data | {"sha256": "0" * 64}})
    assert "expected " + "0" * 64 in quick.wait("changed")["cause"]


def test_unknown_ids_are_problems(quick: Any) -> None:
    for answer in (
        quick.http.get("/v1/trainings/none"),
        quick.cancel("none"),
        quick.http.get("/v1/trainings/none/events"),
    ):
        assert kind(answer) == (404, "unknown-training")


def test_cancel_ends_the_process_and_lets_the_next_job_run(slow: Any, world: Any) -> None:
    for id in ("first", "second", "third"):
        slow.put(id, world.request())
    process = slow.child("first")
    assert slow.get("third")["state"] == "queued"
    assert slow.cancel("third").json()["state"] == "cancelled"
    assert slow.cancel("first").json()["state"] == "cancelled"
    assert not process.is_running()
    assert slow.cancel("first").json()["state"] == "cancelled"
    assert [event["state"] for event in slow.events("third")] == ["queued", "cancelled"]
    assert slow.child("second").is_running()


def test_a_killed_process_is_a_failure_with_a_cause(slow: Any, world: Any) -> None:
    slow.put("victim", world.request())
    slow.child("victim").kill()
    training = slow.wait("victim")
    assert training["state"] == "failed"
    assert training["cause"].startswith("The training process was ended by SIGKILL (signal 9)")
    assert slow.http.get("/readyz").is_success


def test_a_service_that_is_ended_ends_its_processes_and_takes_the_jobs_up_again(
    start: Start, slow: Any, world: Any
) -> None:
    slow.put("paused", world.request())
    process = slow.child("paused")
    slow.end()
    assert not process.is_running()
    later = start(ENGINE="dry_run", JOBS_DIR=slow.settings["JOBS_DIR"])
    assert later.wait("paused")["state"] == "completed"


def test_a_process_that_outlived_its_service_is_ended(
    start: Start, slow: Any, world: Any, until: Callable[[Callable[[], bool]], None]
) -> None:
    slow.put("frozen", world.request())
    process = slow.child("frozen")
    os.kill(process.pid, signal.SIGSTOP)  # so that it cannot notice
    try:
        until(lambda: process.status() == psutil.STATUS_STOPPED)
        slow.end(signal.SIGKILL)
        later = start(ENGINE="dry_run", JOBS_DIR=slow.settings["JOBS_DIR"])
        assert later.wait("frozen")["state"] == "completed"
        until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    finally:
        if process.is_running():
            process.kill()


def test_a_service_whose_folder_is_gone_is_not_ready(slow: Any, world: Any) -> None:
    assert slow.http.get("/readyz").is_success
    slow.folder(".lock").unlink()
    slow.folder("").rmdir()
    assert kind(slow.http.get("/readyz")) == (503, "jobs-folder")
    assert kind(slow.put("nowhere", world.request())) == (503, "jobs-folder")
    slow.folder("").mkdir()
    assert slow.http.get("/readyz").is_success


def test_the_service_never_imports_torch() -> None:
    code = "import sys, plumbline_trainer.__main__; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
