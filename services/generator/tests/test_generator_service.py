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


@pytest.fixture(scope="module")
def client(tiny_model: Path, serve: Serve) -> httpx.Client:
    return serve(MODELS_DIR=tiny_model.parent, THREADS=1)


def post(client: httpx.Client, request: GenerationRequest) -> httpx.Response:
    return client.post("/v1/generations", json=request.model_dump())


def test_the_local_engine_answers_requests_at_the_same_time(tiny_model: Path, ask: Ask, client: httpx.Client) -> None:
    assert client.get("/readyz").is_success
    assert client.get("/v1/models").json() == {"models": [{"name": "tiny", "loaded": False}]}
    requests = [ask(f"{number}", "a", stop=["e"]) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda request: post(client, request), requests))
    parsed = [GenerationResponse.model_validate_json(answer.content) for answer in answers]
    assert len({answer.generations[1] for answer in parsed}) == 1
    assert {answer.weights_sha256 for answer in parsed} == {digest(tiny_model)[0]}
    assert client.get("/v1/models").json() == {"models": [{"name": "tiny", "loaded": True}]}


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
