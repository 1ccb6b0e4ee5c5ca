"""What no schema can say about a generator. All requests are greedy and short."""

import json
from typing import Any

import pytest
from plumbline_conformance.target import Target

PROMPTS = {"b": "Name three animals.", "a": "The dog is", "ä ☃": "2 + 2 ="}


@pytest.fixture(scope="module")
def model(client: Any, target: Target) -> str:
    if target.model is not None:
        return target.model
    models = client.ok("GET", "/v1/models")["models"]
    if not models:
        pytest.skip("GET /v1/models names no model; give one with --model")
    name: str = models[0]["name"]
    return name


def request(model: str, **decoding: Any) -> dict[str, Any]:
    prompts = [{"id": id, "text": text} for id, text in PROMPTS.items()]
    return {"model": model, "prefix": "", "prompts": prompts, "decoding": {"max_new_tokens": 16, **decoding}}


def result(generation: dict[str, Any]) -> dict[str, Any]:
    """Without what depends on the requests before it."""
    return {name: value for name, value in generation.items() if name != "cached_prompt_tokens"}


def test_ids_are_echoed_in_request_order(client: Any, model: str) -> None:
    """One generation per prompt, under its id, in the order of the request, by the model asked for."""
    answer = client.ok("POST", "/v1/generations", request(model))
    assert [generation["id"] for generation in answer["generations"]] == list(PROMPTS)
    assert answer["model"] == model


def test_the_same_greedy_request_has_the_same_answer(client: Any, model: str) -> None:
    """Greedy decoding is repeatable: the same request, the same texts."""
    first, second = (client.ok("POST", "/v1/generations", request(model)) for _ in range(2))
    assert list(map(result, first["generations"])) == list(map(result, second["generations"]))


def test_a_stream_tells_the_same_as_the_whole_answer(client: Any, model: str) -> None:
    """JSON Lines: every generation once, in any order, as `/v1/generations` has it; the origin is the last line."""
    whole = client.ok("POST", "/v1/generations", request(model))
    answer = client.post("/v1/generations/stream", json=request(model))
    assert answer.is_success, answer.text
    *events, last = map(json.loads, answer.text.splitlines())
    assert all(event["origin"] is None and event["problem"] is None for event in events), events
    streamed = sorted((event["generation"] for event in events), key=lambda one: list(PROMPTS).index(one["id"]))
    assert list(map(result, streamed)) == list(map(result, whole["generations"]))
    assert last["origin"] == {name: value for name, value in whole.items() if name != "generations"}
    assert last["generation"] is None and last["problem"] is None


def test_a_stream_of_an_unknown_model_is_a_problem(client: Any) -> None:
    """What is wrong with the request as a whole is an answer of its own, not a stream that breaks."""
    if client.ok("GET", "/info")["model"] is None:
        pytest.skip("its /info says that no model is involved, so every name is as good")
    problem = client.problem(422, "POST", "/v1/generations/stream", request("no-such-model"))
    assert problem["type"].endswith("unknown-model")


def test_an_identity_is_that_of_who_answers(client: Any, model: str) -> None:
    """What is said before generating is true of what is generated."""
    first, second = (client.ok("GET", f"/v1/models/identity?model={model}") for _ in range(2))
    assert first == second
    answer = client.ok("POST", "/v1/generations", request(model))
    for field in ("model", "weights_sha256", "engine"):
        assert answer[field] == first[field]
    assert first["weights_sha256"] is not None or first["source"] is not None


def test_no_more_tokens_than_asked_for(client: Any, model: str) -> None:
    """`max_new_tokens` is an upper bound on `completion_tokens`."""
    for generation in client.ok("POST", "/v1/generations", request(model, max_new_tokens=3))["generations"]:
        assert generation["completion_tokens"] <= 3


def test_text_ends_before_the_stop_string(client: Any, model: str) -> None:
    """The stop string is taken from what this model writes anyway, so that it must come up again."""
    for free in client.ok("POST", "/v1/generations", request(model))["generations"]:
        middle = len(free["text"]) // 2
        stop = free["text"][middle : middle + 2]
        if not stop.strip():
            continue
        body = request(model, stop=[stop])
        body["prompts"] = [prompt for prompt in body["prompts"] if prompt["id"] == free["id"]]
        (stopped,) = client.ok("POST", "/v1/generations", body)["generations"]
        assert stopped["text"] == free["text"][: free["text"].index(stop)]
        assert stopped["finish_reason"] == "stop_string"


def test_a_generation_that_failed_says_why(client: Any, model: str) -> None:
    """`finish_reason` is `error` exactly where there is a cause."""
    for generation in client.ok("POST", "/v1/generations", request(model))["generations"]:
        assert (generation["finish_reason"] == "error") == (generation["cause"] is not None), generation


def test_an_unknown_model_is_a_problem(client: Any) -> None:
    """A model that it does not have is the problem `unknown-model`, not another model's text."""
    if client.ok("GET", "/info")["model"] is None:
        pytest.skip("its /info says that no model is involved, so every name is as good")
    problem = client.problem(422, "POST", "/v1/generations", request("no-such-model"))
    assert problem["type"].endswith("unknown-model")


def test_an_unknown_field_is_refused(client: Any, model: str) -> None:
    """A misspelt option fails loudly."""
    client.problem(422, "POST", "/v1/generations", request(model, max_tokens=3))


def test_a_prompt_is_text_or_messages_and_never_both(client: Any, model: str) -> None:
    """A prompt with both `text` and `messages` is refused."""
    body = request(model)
    body["prompts"] = [{"id": "a", "text": "Hello", "messages": [{"role": "user", "content": "Hello"}]}]
    client.problem(422, "POST", "/v1/generations", body)


@pytest.mark.parametrize("audit_share", [0, 1])
def test_a_loop_is_told_and_the_audited_are_let_run(client: Any, model: str, audit_share: float) -> None:
    """`stop_loops` is refused, or kept to: what is told as a loop repeats itself, and what is audited is not ended."""
    stop_loops = {"min_repeats": 3, "min_characters": 60, "audit_share": audit_share}
    body = request(model, max_new_tokens=128, stop_loops=stop_loops)
    response = client.post("/v1/generations", json=body)
    if response.status_code == 422 and client.is_problem(response)["type"].endswith("unsupported-decoding"):
        pytest.skip("it refuses stop_loops, as it may")
    assert response.status_code == 200, response.text
    for generation in response.json()["generations"]:
        loop, ended = generation["loop"], generation["finish_reason"] == "loop"
        assert not ended or (loop is not None and not generation["audited"]), generation
        assert generation["audited"] == bool(audit_share) or generation["finish_reason"] == "error", generation
        if loop is not None:
            repeating = generation["raw_text"][loop["onset"] : loop["met_at"]]
            assert len(repeating) >= max(60, 3 * loop["period"])
            assert repeating[loop["period"] :] == repeating[: -loop["period"]]
            assert ended or loop["tokens_saved"] == 0
