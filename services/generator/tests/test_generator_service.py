"""The service as a process, spoken to over HTTP."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from plumbline_contracts.generator import GenerationRequest, GenerationResponse
from plumbline_kit.artifacts import digest

Ask = Callable[..., GenerationRequest]
Serve = Callable[..., httpx.Client]
MODEL = {"name": "tiny", "source": "folder", "weights_sha256": None, "context_length": None}


@pytest.fixture(scope="module")
def client(tiny_model: Path, serve: Serve) -> httpx.Client:
    return serve(MODELS_DIR=tiny_model.parent, THREADS=1)


def post(client: httpx.Client, request: GenerationRequest) -> httpx.Response:
    return client.post("/v1/generations", json=request.model_dump())


def test_the_local_engine_answers_requests_at_the_same_time(tiny_model: Path, ask: Ask, client: httpx.Client) -> None:
    assert client.get("/readyz").is_success
    assert client.get("/v1/models").json() == {"models": [MODEL | {"loaded": False}]}
    requests = [ask(f"{number}", "a", stop=["e"]) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda request: post(client, request), requests))
    parsed = [GenerationResponse.model_validate_json(answer.content) for answer in answers]
    assert len({answer.generations[1] for answer in parsed}) == 1
    assert {answer.weights_sha256 for answer in parsed} == {digest(tiny_model)[0]}
    assert client.get("/v1/models").json() == {"models": [MODEL | {"loaded": True}]}


def identity(client: httpx.Client, model: str) -> httpx.Response:
    return client.get("/v1/models/identity", params={"model": model})


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
