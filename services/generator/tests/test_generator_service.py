"""The service as a process, spoken to over HTTP."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from plumbline_contracts.generator import GenerationRequest, GenerationResponse
from plumbline_kit.artifacts import digest
from plumbline_kit.errors import ProblemError

from tests.stack import wait_for

from .conftest import Process
from .test_generator_streams import streamed

Ask = Callable[..., GenerationRequest]
Serve = Callable[..., httpx.Client]
MODEL = {
    "name": "tiny",
    "source": "folder",
    "revision": None,
    "base": None,
    "weights_sha256": None,
    "context_length": 256,
}


@pytest.fixture(scope="module")
def client(tiny_model: Path, serve: Serve) -> httpx.Client:
    return serve(MODELS_DIR=tiny_model.parent, THREADS=1)


def post(client: httpx.Client, request: GenerationRequest) -> httpx.Response:
    return client.post("/v1/generations", json=request.model_dump())


def test_the_local_engine_answers_requests_at_the_same_time(tiny_model: Path, ask: Ask, client: httpx.Client) -> None:
    assert client.get("/readyz").is_success
    assert client.get("/v1/models").json()["models"] == [MODEL | {"loaded": False}]
    requests = [ask(f"{number}", "a", stop=["e"]) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda request: post(client, request), requests))
    parsed = [GenerationResponse.model_validate_json(answer.content) for answer in answers]
    assert len({answer.generations[1] for answer in parsed}) == 1
    assert {answer.weights_sha256 for answer in parsed} == {digest(tiny_model)[0]}
    assert client.get("/v1/models").json()["models"] == [
        MODEL | {"loaded": True, "weights_sha256": digest(tiny_model)[0]}
    ]


def identity(client: httpx.Client, model: str) -> httpx.Response:
    return client.get("/v1/models/identity", params={"model": model})


def test_a_path_is_refused_with_the_way_to_name_its_model(tiny_model: Path, client: httpx.Client) -> None:
    for path in (str(tiny_model), "../tiny", "file:///tiny"):
        problem = identity(client, path)
        assert problem.status_code == 422
        assert "put or link its folder into the service's models folder (GENERATOR_MODELS_DIR" in problem.text


def test_a_model_is_identified_before_it_is_loaded(tiny_model: Path, ask: Ask, client: httpx.Client) -> None:
    found = identity(client, "tiny").json()
    answer = post(client, ask("a")).json()
    told = ("model", "weights_sha256", "engine", "engine_version")
    assert {name: found[name] for name in told} == {name: answer[name] for name in told}
    assert (found["weights_sha256"], found["source"]) == (digest(tiny_model)[0], None)
    assert identity(client, "nope").json()["type"] == "urn:plumbline:problem:unknown-model"
    assert identity(client, "../tiny").json()["type"] == "urn:plumbline:problem:invalid-request"


def test_problems_are_told(ask: Ask, client: httpx.Client) -> None:
    unknown = post(client, ask("a", model="nope"))
    assert (unknown.status_code, unknown.json()["type"]) == (422, "urn:plumbline:problem:unknown-model")
    outside = client.post("/v1/generations", json={"model": "../tiny", "prompts": [], "decoding": {}})
    assert (outside.status_code, outside.json()["type"]) == (422, "urn:plumbline:problem:invalid-request")


def test_a_stream_tells_each_result_once_and_then_its_origin(ask: Ask, client: httpx.Client) -> None:
    request = ask("a", "bb", "", "ccc")
    whole = GenerationResponse.model_validate_json(post(client, request).content)
    *events, last = streamed(client, request)
    found = {event.generation.id: event.generation for event in events if event.generation is not None}
    assert len(events) == len(found) == 4
    told = whole.model_dump()
    for prompt, theirs in zip(request.prompts, told["generations"], strict=True):
        mine = found[prompt.id].model_dump()
        assert mine | {"cached_prompt_tokens": None} == theirs | {"cached_prompt_tokens": None}
    assert last.origin is not None and told == last.origin.model_dump() | {"generations": told["generations"]}
    with pytest.raises(ProblemError, match="nope"):
        streamed(client, ask("a", model="nope"))


def seconds_used(process: subprocess.Popen[bytes]) -> float:
    """Of processor time."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def test_callers_that_are_killed_leave_no_work_behind(tiny_model: Path, ask: Ask, serve: Serve) -> None:
    client = serve(MODELS_DIR=tiny_model.parent, THREADS=1, BATCH_SIZE=4)
    assert isinstance(client, Process)
    post(client, ask("warm")).raise_for_status()
    before = len(list(Path(f"/proc/{client.process.pid}/task").iterdir()))
    script = "import sys, json, httpx; httpx.post(sys.argv[1], json=json.load(sys.stdin), timeout=600, trust_env=False)"
    command = [sys.executable, "-c", script, str(client.base_url.join("/v1/generations"))]
    long = ask(*"abcdefghijklmnopqrstuvwxyz" * 8, max_new_tokens=240).model_dump_json().encode()
    for _ in range(4):
        used = seconds_used(client.process)
        with subprocess.Popen(command, stdin=subprocess.PIPE) as caller:
            assert caller.stdin is not None
            caller.stdin.write(long)
            caller.stdin.close()
            wait_for(lambda: seconds_used(client.process) > used + 0.1, 60, "the engine to be at work")  # noqa: B023
            caller.kill()
    ended = 'plumbline_requests_total{method="POST",route="/v1/generations",status="499"} 4.0'
    wait_for(lambda: ended in client.get("/metrics").text, 60, "the work to end")
    post(client, ask("next")).raise_for_status()
    # Threads of asyncio's pool are started when none is idle, and stay.
    threads = list(Path(f"/proc/{client.process.pid}/task").iterdir())
    assert len(threads) <= before + 2


def test_the_canned_engine_needs_no_model(ask: Ask, serve: Serve) -> None:
    client = serve(ENGINE="canned")
    assert client.get("/readyz").is_success
    assert client.get("/info").json()["implementation"] == "canned"
    assert post(client, ask("a")).json()["generations"][0]["finish_reason"] == "eos"


def test_other_canned_answers_are_another_source(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "canned.jsonl").write_text('{"prompt": "a", "text": "b"}\n')
    plain, filed = serve(ENGINE="canned"), serve(ENGINE="canned", CANNED_FILE=tmp_path / "canned.jsonl")
    found = [identity(client, "any").json() for client in (plain, filed)]
    assert [one["weights_sha256"] for one in found] == [None, None]
    assert found[0]["source"] != found[1]["source"]
