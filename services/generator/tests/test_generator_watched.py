"""Texts of an OpenAI-compatible server, read while they are written; and what such servers tell beside the text."""

from typing import Any

import pytest
from plumbline_contracts.periodicity import LoopRule, loop_of

from tests.stack import wait_for

from .conftest import Process, Run
from .inference_server import KINDS, MODEL
from .test_generator_openai import before, behave, generations, problem

ANALYZER = LoopRule(min_repeats=4, min_covered=60)
RULE = {"min_repeats": 6, "min_characters": 120, "audit_share": 0}


@pytest.fixture(scope="module")
def servers(inference_server: Run, serve: Run) -> dict[str, tuple[Process, Process]]:
    started = {kind: inference_server("--speaks", kind) for kind in KINDS}
    return {kind: (server, before(server, serve)) for kind, server in started.items()}


def more(service: Process, prompts: list[dict[str, Any]], decoding: dict[str, Any], **top: Any) -> Any:
    body = {"model": MODEL, "prompts": [one | {"id": str(number)} for number, one in enumerate(prompts)]}
    return service.post("/v1/generations", json=body | {"decoding": {"max_new_tokens": 24} | decoding} | top)


def without_cache(one: dict[str, Any]) -> dict[str, Any]:
    return one | {"cached_prompt_tokens": None}


@pytest.mark.parametrize("kind", KINDS)
def test_a_loop_is_ended_on_every_server(servers: dict[str, tuple[Process, Process]], kind: str) -> None:
    server, service = servers[kind]
    behave(server, "ok")
    prompts = [{"text": "loop"}, {"text": "one"}, {"messages": [{"role": "user", "content": "loop"}]}]
    ended, other, chat = more(service, prompts, {"max_new_tokens": 400, "stop_loops": RULE}).json()["generations"]
    assert [one["finish_reason"] for one in (ended, other, chat)] == ["loop", "eos", "loop"]
    assert without_cache(other) == without_cache(generations(service, "x", "one", max_new_tokens=400)[1])
    for one in (ended, chat):
        assert loop_of(one["raw_text"], ANALYZER) is not None
        assert one["completion_tokens"] == len(one["text"].split())
        assert one["loop"]["tokens_saved"] == 400 - one["completion_tokens"] > 300
        assert one["prompt_tokens"] > 0
    wait_for(lambda: server.get("/calls").headers["X-Broken-Off"] == "2", 60, "the connections to be closed")


def test_what_is_audited_runs_to_its_end_and_says_where_it_would_have_been_ended(
    servers: dict[str, tuple[Process, Process]],
) -> None:
    _, service = servers["vllm"]
    [one] = generations(service, "loop", max_new_tokens=400, stop_loops=RULE | {"audit_share": 1})
    assert (one["finish_reason"], one["audited"], one["completion_tokens"]) == ("length", True, 400)
    assert (one["loop"]["tokens_saved"], one["loop"]["period"]) == (0, len(" once again forever"))


def test_a_deadline_cancels_with_what_was_written(servers: dict[str, tuple[Process, Process]]) -> None:
    server, service = servers["vllm"]
    behave(server, "slow")
    [one] = generations(service, "loop", max_new_tokens=400, deadline_seconds=0.6)
    assert one["finish_reason"] == "cancelled"
    assert one["completion_tokens"] == len(one["text"].split()) < 400
    wait_for(lambda: server.get("/calls").headers["X-Broken-Off"] == "1", 60, "the connection to be closed")


def test_a_deadline_counts_from_the_arrival(servers: dict[str, tuple[Process, Process]], serve: Run) -> None:
    """Also while a prompt waits for its place, and while the server is asked what it has."""
    server, service = servers["vllm"]
    behave(server, "slow")
    one_at_a_time = before(server, serve, BACKEND_CONCURRENCY=1)
    begun, waited = generations(one_at_a_time, "loop", "loop again", max_new_tokens=400, deadline_seconds=2)
    assert (begun["finish_reason"], begun["completion_tokens"] > 0) == ("cancelled", True)
    assert (waited["finish_reason"], waited["completion_tokens"]) == ("cancelled", 0)
    behave(server, "hesitates")
    [late] = generations(service, "one", deadline_seconds=0.9)
    assert (late["finish_reason"], late["text"]) == ("cancelled", "")
    behave(server, "ok")


def test_cached_tokens_are_told_where_the_server_tells_them(servers: dict[str, tuple[Process, Process]]) -> None:
    told = {kind: generations(service, "a b c")[0]["cached_prompt_tokens"] for kind, (_, service) in servers.items()}
    assert told == {"vllm": 2, "sglang": 2, "llamacpp": 2, "tgi": None, "other": None}


def test_log_probabilities_of_texts_chats_and_prompts(servers: dict[str, tuple[Process, Process]]) -> None:
    _, service = servers["vllm"]
    prompts = [{"text": "a b"}, {"tokens": [5, 6, 7]}]
    text, tokens = more(service, prompts, {}, logprobs=1, prompt_logprobs=True).json()["generations"]
    assert "".join(token["token"] for token in text["logprobs"]) == text["raw_text"]
    assert {len(token["alternatives"]) for token in text["logprobs"]} == {1}
    assert [token["token"] for token in tokens["prompt_logprobs"]] == ["", "6", "7"]
    assert [token["logprob"] for token in tokens["prompt_logprobs"]] == [None, -0.75, -0.75]
    assert (tokens["prompt_tokens"], tokens["prompt_sha256"]) == (3, None)
    chat = {"messages": [{"role": "user", "content": "hi"}]}
    [said] = more(service, [chat], {}, logprobs=2).json()["generations"]
    assert [one["token"] for one in said["logprobs"][0]["alternatives"]] == [" dog", " cat"]
    [refused] = more(service, [chat], {}, logprobs=2, prompt_logprobs=True).json()["generations"]
    assert refused["finish_reason"] == "error" and "prompt_logprobs" in refused["cause"]


def test_what_a_server_would_leave_out_is_refused(servers: dict[str, tuple[Process, Process]]) -> None:
    for kind, (_, service) in servers.items():
        has_tokens = kind in ("vllm", "sglang", "llamacpp")
        assert more(service, [{"tokens": [5]}], {}).status_code == (200 if has_tokens else 422), kind
        has_logprobs = kind in ("vllm", "llamacpp")
        assert more(service, [{"text": "a"}], {}, logprobs=1).status_code == (200 if has_logprobs else 422), kind
    streamed = more(servers["vllm"][1], [{"text": "a"}], {}, logprobs=1, prompt_logprobs=True, deadline_seconds=9)
    assert problem(streamed) == (422, "unsupported-decoding")
    assert "deadline_seconds" in streamed.json()["detail"]


@pytest.mark.parametrize("alternatives", [0, 1])
def test_log_probabilities_of_llamacpp_have_the_shape_of_a_chats(
    servers: dict[str, tuple[Process, Process]], alternatives: int
) -> None:
    server, service = servers["llamacpp"]
    behave(server, "ok")
    prompts = [{"text": "a b"}, {"messages": [{"role": "user", "content": "hi"}]}]
    for one in more(service, prompts, {}, logprobs=alternatives).json()["generations"]:
        assert "".join(token["token"] for token in one["logprobs"]) == one["raw_text"]
        assert {token["logprob"] for token in one["logprobs"]} == {-0.5}
        assert {len(token["alternatives"]) for token in one["logprobs"]} == {alternatives}
    calls = server.get("/calls").json()
    assert (calls[0]["logprobs"], calls[1]["top_logprobs"]) == (1, 1)  # 0 would be none at all


def test_where_a_stream_has_no_count_its_parts_are_counted(servers: dict[str, tuple[Process, Process]]) -> None:
    server, service = servers["other"]
    behave(server, "uncounted_stream")
    texts = ("one", "two words")
    for decoding in ({"max_new_tokens": 400}, {"max_new_tokens": 10}):
        counted = generations(service, *texts, **decoding)
        assert generations(service, *texts, **decoding, stop_loops=RULE) == [
            one | {"completion_tokens": len(one["text"].split())}
            for one in counted  # an end token makes no part
        ]
    behave(server, "ok")


@pytest.mark.parametrize("decoding", [{}, {"stop_loops": RULE}])
def test_what_a_model_thinks_is_not_taken_out_of_its_text(
    servers: dict[str, tuple[Process, Process]], decoding: dict[str, Any]
) -> None:
    chat = [{"messages": [{"role": "user", "content": "hi"}]}]
    for kind in ("vllm", "sglang", "llamacpp"):
        server, service = servers[kind]
        behave(server, "thinks")
        [one] = more(service, chat, decoding).json()["generations"]
        behave(server, "ok")
        if kind == "vllm":  # where nothing in a request prevents it
            assert (one["finish_reason"], "reasoning parser" in one["cause"]) == ("error", True)
        else:
            assert without_cache(one) == without_cache(more(service, chat, decoding).json()["generations"][0])


def test_a_text_that_a_full_context_ended_is_an_error(servers: dict[str, tuple[Process, Process]]) -> None:
    _, service = servers["llamacpp"]
    [one] = generations(service, "loop " * 500, max_new_tokens=400)
    assert (one["finish_reason"], "max_new_tokens" in one["cause"]) == ("error", True)
    assert one["completion_tokens"] == len(one["raw_text"].split()) == 12
