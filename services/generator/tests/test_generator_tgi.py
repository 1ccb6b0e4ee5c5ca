"""The service before a stand-in for TGI that is held to TGI's own document: real processes, real HTTP."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from plumbline_contracts.periodicity import LoopRule, loop_of

from tests.stack import wait_for

from .conftest import Process, Run
from .test_generator_openai import behave, problem
from .test_generator_openai import post as posted
from .tgi_server import MODEL, SHA

ANALYZER = LoopRule(min_repeats=4, min_covered=60)


@pytest.fixture(scope="module")
def server(run: Run) -> Process:
    return run(str(Path(__file__).parent / "tgi_server.py"), "{port}")


@pytest.fixture(scope="module")
def service(server: Process, serve: Run) -> Process:
    return before(server, serve)


@pytest.fixture(autouse=True)
def well_behaved(server: Process) -> None:
    behave(server, "ok")


def before(server: Process, serve: Run, **settings: object) -> Process:
    fast = {"BACKEND_RETRIES": 1, "THREADS": 1}
    return serve(ENGINE="tgi", BACKEND_URL=str(server.base_url), **(fast | settings))


def seen(server: Process) -> dict[str, Any]:
    return dict(server.get("/calls").json())


def post(service: Process, *texts: str, **more: Any) -> Any:
    return posted(service, *texts, model=MODEL, **more)


def generations(service: Process, *texts: str, **more: Any) -> list[dict[str, Any]]:
    return list(post(service, *texts, **more).raise_for_status().json()["generations"])


def test_it_conforms(service: Process) -> None:
    command = ["-m", "plumbline_conformance", "generator", "--url", str(service.base_url), "--model", MODEL]
    ended = subprocess.run([sys.executable, *command, "--examples", "5"], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr[-2000:]


def test_what_a_text_says_of_itself(server: Process, serve: Run) -> None:
    service = before(server, serve, BACKEND_API_KEY="sk-secret")
    [one] = generations(service, "b", prefix="a ", max_new_tokens=300)
    assert (one["finish_reason"], one["prompt_tokens"], one["cached_prompt_tokens"]) == ("eos", 3, None)
    assert one["completion_tokens"] == len(one["text"].split()) + 1
    assert one["prompt_sha256"] == hashlib.sha256(b"a b").hexdigest()
    [call] = seen(server)["calls"]
    assert (call["inputs"], call["authorization"]) == ("a b", "Bearer sk-secret")
    assert call["parameters"] == {"details": True, "do_sample": False, "max_new_tokens": 300}
    identity = service.get("/v1/models/identity", params={"model": MODEL}).json()
    assert (identity["engine"], identity["engine_version"]) == ("tgi", "3.3.5")
    assert identity["source"].endswith(f"{MODEL}@{SHA}")


def test_drawing_is_said_in_full_and_each_prompt_has_a_seed_of_its_own(server: Process, service: Process) -> None:
    drawn = {"temperature": 0.7, "top_p": 0.9, "top_k": 5, "repetition_penalty": 1.1, "seed": 3}
    first, second = generations(service, "one", "one", **drawn)
    assert first["text"] != second["text"]
    assert generations(service, "one", **drawn) == [first]
    asked = seen(server)["calls"][0]["parameters"]
    assert asked["seed"] >= 1 and asked["do_sample"] is True
    assert {name: asked[name] for name in ("temperature", "top_p", "top_k", "repetition_penalty")} == {
        name: drawn[name] for name in ("temperature", "top_p", "top_k", "repetition_penalty")
    }


@pytest.mark.parametrize("others", [0, 4])
def test_stop_strings_end_the_work_also_those_that_tgi_does_not_take(
    server: Process, service: Process, others: int
) -> None:
    [free] = generations(service, "one", max_new_tokens=200)
    stop = "".join(f" {word}" for word in free["text"].split()[5:7])
    behave(server, "ok")
    [one] = generations(service, "one", max_new_tokens=200, stop=[*(f"never {n}" for n in range(others)), stop])
    assert (one["finish_reason"], one["text"]) == ("stop_string", free["text"][: free["text"].index(stop)])
    assert stop in one["raw_text"] and one["prompt_tokens"] == free["prompt_tokens"] == 2
    assert one["completion_tokens"] < free["completion_tokens"]
    wait_for(lambda: seen(server)["broken_off"] == (others == 4), 60, "the connection to be closed")


def test_a_loop_is_ended_and_is_one_to_the_analyzer(server: Process, service: Process) -> None:
    rule = {"min_repeats": 6, "min_characters": 120, "audit_share": 0}
    ended, other = generations(service, "loop", "one", max_new_tokens=400, stop_loops=rule)
    assert (ended["finish_reason"], other["finish_reason"]) == ("loop", "eos")
    assert loop_of(ended["raw_text"], ANALYZER) is not None
    assert ended["loop"]["period"] == len(" once again forever")
    assert ended["loop"]["tokens_saved"] == 400 - ended["completion_tokens"] > 300
    wait_for(lambda: seen(server)["broken_off"] == 1, 60, "the connection to be closed")
    [audited] = generations(service, "loop", max_new_tokens=400, stop_loops=rule | {"audit_share": 1})
    assert (audited["finish_reason"], audited["audited"], audited["completion_tokens"]) == ("length", True, 400)
    assert audited["loop"] == ended["loop"] | {"tokens_saved": 0}


def test_what_is_not_finished_at_the_deadline_is_cancelled_with_what_was_written(
    server: Process, service: Process
) -> None:
    behave(server, "slow")
    [one] = generations(service, "loop", max_new_tokens=400, deadline_seconds=0.5)
    assert (one["finish_reason"], one["prompt_tokens"]) == ("cancelled", 2)
    assert 0 <= one["completion_tokens"] == len(one["text"].split()) < 400
    wait_for(lambda: seen(server)["busy"] == 0, 60, "the work to end there")


def test_log_probabilities_are_those_of_the_model_or_refused(service: Process) -> None:
    [one] = generations(service, "one", logprobs=1, max_new_tokens=3)
    assert [len(token["alternatives"]) for token in one["logprobs"]] == [1, 1, 1]
    assert "".join(token["token"] for token in one["logprobs"]) == one["raw_text"]
    assert problem(post(service, "one", logprobs=1, temperature=1)) == (422, "unsupported-decoding")


def test_messages_are_rendered_there_without_beginning_twice(server: Process, service: Process) -> None:
    prompts = [{"id": "1", "messages": [{"role": "user", "content": "hello"}]}]
    body = {"model": MODEL, "prompts": prompts, "decoding": {"max_new_tokens": 5}}
    [one] = service.post("/v1/generations", json=body).raise_for_status().json()["generations"]
    assert (one["finish_reason"], one["completion_tokens"]) == ("length", 5)
    assert one["prompt_sha256"] == hashlib.sha256(b"<s>[user] hello\n").hexdigest()
    assert seen(server)["calls"][0]["inputs"] == "[user] hello\n"


def test_a_prompt_that_it_refuses_does_not_fail_the_others(service: Process) -> None:
    good, long, poisoned = generations(service, "one", "word " * 600, "poison")
    assert good["finish_reason"] == "length"
    assert (long["finish_reason"], "max_new_tokens" in long["cause"]) == ("error", True)
    assert (poisoned["finish_reason"], "GenerationError" in poisoned["cause"]) == ("error", True)
    too_long = service.post("/v1/completions", json={"model": MODEL, "prompt": "word " * 600, "temperature": 0})
    assert (too_long.status_code, too_long.json()["error"]["code"]) == (400, "context_length_exceeded")


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("overloaded", (503, "backend-unavailable")),
        ("gateway", (503, "backend-unavailable")),
        ("gateway_timeout", (504, "backend-timeout")),
        ("denied", (503, "backend-refused")),
    ],
)
def test_an_outage_is_a_problem(server: Process, service: Process, mode: str, told: tuple[int, str]) -> None:
    behave(server, mode)
    assert problem(post(service, "one")) == told


def test_a_text_that_takes_too_long_is_no_reason_to_wait(server: Process, serve: Run) -> None:
    service = before(server, serve, BACKEND_TIMEOUT_SECONDS=0.3, BACKEND_RETRIES=0)
    behave(server, "slow")
    answer = post(service, "loop", max_new_tokens=400)
    assert problem(answer) == (504, "backend-timeout") and "retry-after" not in answer.headers
    assert "GENERATOR_BACKEND_TIMEOUT_SECONDS" in answer.json()["detail"]
    wait_for(lambda: seen(server)["busy"] == 0, 60, "the work to end there")


@pytest.mark.parametrize("mode", ["generation", "incomplete_generation", "fails_late", "breaks_off"])
def test_a_generation_that_failed_there_is_a_result_with_its_cause(
    server: Process, service: Process, mode: str
) -> None:
    behave(server, mode)
    [one] = generations(service, "one")
    assert (one["finish_reason"], one["text"]) == ("error", "") and one["cause"]


def test_it_is_asked_again_after_an_overload_and_only_so_much_at_a_time(server: Process, serve: Run) -> None:
    service = before(server, serve, BACKEND_CONCURRENCY=2)
    behave(server, "overloaded_once")
    assert generations(service, "one")[0]["finish_reason"] == "length"
    behave(server, "slow")
    generations(service, *"abcdef", max_new_tokens=3)
    assert seen(server)["busiest"] == 2


def test_a_caller_that_goes_ends_the_work_there(server: Process, service: Process) -> None:
    behave(server, "slow")
    request = {"model": MODEL, "prompts": [{"id": "1", "text": "loop"}], "decoding": {"max_new_tokens": 400}}
    script = "import sys, httpx; httpx.post(sys.argv[1], json=eval(sys.argv[2]), timeout=600, trust_env=False)"
    url = str(service.base_url.join("/v1/generations"))
    with subprocess.Popen([sys.executable, "-c", script, url, repr(request)]) as caller:
        wait_for(lambda: seen(server)["busy"] == 1, 60, "the work to be under way")
        caller.kill()
    wait_for(lambda: seen(server)["broken_off"] == 1, 60, "the work to end there")
    behave(server, "ok")
    assert generations(service, "next")[0]["finish_reason"] == "length"


def test_nobody_there_is_a_problem_and_not_ready(serve: Run) -> None:
    service = serve(ENGINE="tgi", BACKEND_URL="http://127.0.0.1:9", BACKEND_RETRIES=0)
    assert problem(post(service, "one")) == (503, "backend-unavailable")
    assert service.get("/readyz").status_code == 503
