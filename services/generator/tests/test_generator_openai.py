"""The service before a scripted inference server: real processes, real HTTP."""

import subprocess
import sys
from typing import Any

import pytest
from plumbline_generator.stopping import cut

from .conftest import Process, Run
from .inference_server import KINDS, MODEL

TEXTS = ["one", "two words", "three words here", "and so on", "last"]
FAST = {"BACKEND_RETRIES": 1, "THREADS": 1}


@pytest.fixture(scope="module")
def server(inference_server: Run) -> Process:
    return inference_server()


@pytest.fixture(scope="module")
def service(server: Process, serve: Run) -> Process:
    return before(server, serve)


@pytest.fixture(autouse=True)
def well_behaved(server: Process) -> None:
    behave(server, "ok")


def before(server: Process, serve: Run, **settings: object) -> Process:
    return serve(ENGINE="openai", BACKEND_URL=f"{server.base_url}/v1", **(FAST | settings))


def behave(server: Process, mode: str) -> None:
    server.put(f"/mode/{mode}").raise_for_status()


def post(service: Process, *texts: str, **more: Any) -> Any:
    """The answer to texts with the ids "0", "1", ...; 24 new tokens unless told."""
    top = {key: more.pop(key) for key in ("model", "prefix", "logprobs", "deadline_seconds") if key in more}
    prompts = [{"id": str(number), "text": text} for number, text in enumerate(texts)]
    body = {"model": MODEL, "prompts": prompts, "decoding": {"max_new_tokens": 24} | more} | top
    return service.post("/v1/generations", json=body)


def generations(service: Process, *texts: str, **more: Any) -> list[dict[str, Any]]:
    return list(post(service, *texts, **more).raise_for_status().json()["generations"])


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:plumbline:problem:")


def test_it_conforms(service: Process) -> None:
    command = ["-m", "plumbline_conformance", "generator", "--url", str(service.base_url), "--model", MODEL]
    ended = subprocess.run([sys.executable, *command, "--examples", "10"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr[-2000:]


def test_texts_and_messages_go_to_their_endpoints_with_the_prefix_and_the_key(server: Process, serve: Run) -> None:
    service = before(server, serve, BACKEND_API_KEY="sk-secret")
    assert "sk-secret" not in service.get("/info").text
    assert len(generations(service, "b", prefix="a ")) == 1
    chat = [{"role": "user", "content": "hello"}]
    body = {"model": MODEL, "prompts": [{"id": "1", "messages": chat}], "decoding": {"max_new_tokens": 5}}
    [answer] = service.post("/v1/generations", json=body).raise_for_status().json()["generations"]
    assert (answer["completion_tokens"], answer["finish_reason"]) == (5, "length")
    text, messages = server.get("/calls").json()
    assert (text["path"], text["prompt"]) == ("/v1/completions", "a b")
    assert (messages["path"], messages["messages"]) == ("/v1/chat/completions", chat)
    assert text["authorization"] == messages["authorization"] == "Bearer sk-secret"
    [prefixed] = service.post("/v1/generations", json=body | {"prefix": "no"}).json()["generations"]
    assert (prefixed["finish_reason"], "prefix" in prefixed["cause"]) == ("error", True)


def test_a_text_does_not_depend_on_its_batch_and_each_has_a_stream_of_its_own(service: Process) -> None:
    drawn = {"temperature": 0.8, "seed": 5}
    together = generations(service, "one", "two words", "one", **drawn)
    assert generations(service, "one", **drawn) == together[:1]
    assert together[0]["text"] != together[2]["text"]  # the same prompt under another id
    greedy = generations(service, "one", "two words", "one")
    assert greedy[0]["text"] == greedy[2]["text"] != together[0]["text"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_of_a_text_is_read_from_every_kind_of_server(inference_server: Run, serve: Run, kind: str) -> None:
    service = before(inference_server("--speaks", kind), serve)
    free = generations(service, *TEXTS, max_new_tokens=300)
    assert {one["finish_reason"] for one in free} == {"eos"}
    assert all(one["completion_tokens"] == len(one["text"].split()) + 1 for one in free)
    stops = ["never", " dog not", " red", " tree"]
    stopped = generations(service, *TEXTS, max_new_tokens=300, stop=stops)
    for one, whole in zip(stopped, free, strict=True):
        text, found = cut(whole["text"], stops)
        assert one["text"] == text
        named = {"vllm", "sglang", "tgi"}
        assert one["finish_reason"] == ("stop_string" if found or kind not in named else "eos")
        assert not found or kind not in named or cut(one["raw_text"], stops) == (text, True)
    answer = post(service, "one").json()
    version = {"vllm": "0.99.0", "sglang": "0.99.0", "llamacpp": "b6000-abc", "tgi": "b6000-abc", "other": "unknown"}
    engine = {"other": "openai:somebody"}.get(kind, f"openai:{kind}")
    assert (answer["engine"], answer["engine_version"], answer["weights_sha256"]) == (engine, version[kind], None)


def test_more_stop_strings_than_the_server_takes_are_cut_here(inference_server: Run, serve: Run) -> None:
    service = before(inference_server("--speaks", "other"), serve)
    [free] = generations(service, "one", max_new_tokens=30)
    stop = free["text"][20:24]
    [stopped] = generations(service, "one", max_new_tokens=30, stop=["never1", "never2", "never3", "never4", stop])
    assert (stopped["text"], stopped["finish_reason"]) == (cut(free["text"], [stop])[0], "stop_string")
    assert stopped["raw_text"] == free["raw_text"]  # it was written, and is counted
    assert stopped["completion_tokens"] == free["completion_tokens"]


def test_what_the_server_would_drop_is_a_problem_that_names_it(inference_server: Run, serve: Run) -> None:
    service = before(inference_server("--speaks", "tgi"), serve)
    refused = post(service, "one", top_k=5)
    assert problem(refused) == (422, "unsupported-decoding")
    assert "top_k 5" in refused.json()["detail"] and "tgi" in refused.json()["detail"]


def test_a_prompt_that_cannot_be_completed_does_not_fail_the_others(service: Process) -> None:
    good, long, poisoned, empty = generations(service, "one", "word " * 600, "poison", "")
    assert [good] == generations(service, "one")
    assert (long["finish_reason"], long["completion_tokens"], long["text"]) == ("error", 0, "")
    assert "maximum context length is 512" in long["cause"]
    assert "500: poisoned" in poisoned["cause"]
    assert "non-empty" in empty["cause"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_too_long_for_the_server_is_told_to_clients_of_openai_as_that(
    service: Process, stream: bool
) -> None:
    def told(prompt: str) -> tuple[int, str, str]:
        asked = {"model": MODEL, "prompt": prompt, "stream": stream, "temperature": 0}
        answer = service.post("/v1/completions", json=asked)
        return answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["message"]

    status, code, message = told("word " * 600)
    assert (status, code) == (400, "context_length_exceeded") and "512 tokens" in message and "600 input" in message
    assert told("poison")[:2] == (400, "cannot-complete")


@pytest.mark.parametrize(
    ("mode", "cause"),
    [
        ("garbled", "cannot be read"),
        ("empty", "lacks a choice"),
        ("filtered", "content_filter"),
        ("uncounted", "count of tokens"),
    ],
)
def test_an_answer_that_is_none_is_an_error_with_its_cause(
    service: Process, server: Process, mode: str, cause: str
) -> None:
    behave(server, mode)
    for one in generations(service, "one", "two words"):
        assert (one["finish_reason"], cause in one["cause"]) == ("error", True), one


def test_a_busy_moment_is_waited_for(service: Process, server: Process) -> None:
    behave(server, "busy_once")
    assert {one["finish_reason"] for one in generations(service, *TEXTS)} == {"length"}


@pytest.mark.parametrize(
    ("mode", "status", "kind", "words"),
    [
        ("busy", 503, "backend-unavailable", "429: overloaded"),
        ("broken", 503, "backend-unavailable", "GET /models: 500: broken"),
        ("denied", 503, "backend-refused", "GENERATOR_BACKEND_API_KEY: 401"),
        ("missing", 422, "backend-refused", "does not exist"),
        ("gateway_timeout", 504, "backend-timeout", "504: upstream request timeout"),
        ("untold", 503, "backend-unavailable", "GET version: 503: starting"),
    ],
)
def test_what_is_everybodys_trouble_is_one_problem(
    service: Process, server: Process, mode: str, status: int, kind: str, words: str
) -> None:
    behave(server, mode)
    answer = post(service, *TEXTS)
    assert problem(answer) == (status, kind)
    assert words in answer.json()["detail"]
    assert ("retry-after" in answer.headers) == (status == 503)


def test_no_more_is_asked_for_at_a_time_than_set(server: Process, serve: Run) -> None:
    service = before(server, serve, BACKEND_CONCURRENCY=2)
    behave(server, "slow")
    assert len(generations(service, *TEXTS)) == len(TEXTS)
    assert server.get("/calls").headers["x-most-at-once"] == "2"


@pytest.mark.parametrize("mode", ["untold", "told_late"])
def test_a_server_that_cannot_tell_of_itself_now_is_waited_for(inference_server: Run, serve: Run, mode: str) -> None:
    server = inference_server("--speaks", "sglang")
    service = before(server, serve)
    behave(server, mode)
    answer = post(service, "one", temperature=0.7)
    assert problem(answer) == (503, "backend-unavailable") and "GET server_info" in answer.json()["detail"]
    behave(server, "ok")
    assert generations(service, "one", temperature=0.7)[0]["finish_reason"] == "length"


def test_a_completion_that_takes_too_long_is_no_reason_to_wait(server: Process, serve: Run) -> None:
    service = before(server, serve, BACKEND_TIMEOUT_SECONDS=0.3, BACKEND_RETRIES=0)
    behave(server, "slow")
    answer = post(service, "one")
    assert problem(answer) == (504, "backend-timeout") and "retry-after" not in answer.headers
    assert "GENERATOR_BACKEND_TIMEOUT_SECONDS" in answer.json()["detail"]


def test_a_server_that_dies_is_waited_for(inference_server: Run, serve: Run) -> None:
    server = inference_server()
    service = before(server, serve)
    before_it = generations(service, *TEXTS)
    assert service.get("/readyz").is_success
    server.kill()
    ready = service.get("/readyz")
    assert problem(ready) == (503, "backend-unavailable") and "does not answer GET /models" in ready.json()["detail"]
    assert problem(post(service, *TEXTS)) == (503, "backend-unavailable")
    assert service.get("/livez").is_success
    server.start()
    assert service.get("/readyz").is_success
    assert generations(service, *TEXTS) == before_it
