"""A real inference server: `transformers serve` on the tiny model writes what the local engine writes."""

import sys
from pathlib import Path

import pytest

from .conftest import HUB_MODEL as MODEL
from .conftest import Process, Run
from .test_generator_local import TEXTS
from .test_generator_openai import before, generations, post, problem


@pytest.fixture(scope="module")
def peer(run: Run, hub: Path) -> Process:
    script = str(Path(sys.executable).parent / "transformers")
    options = ["--host", "127.0.0.1", "--port", "{port}", "--device", "cpu", "--dtype", "float32"]
    return run(script, "serve", *options, HF_HOME=str(hub.parent), HF_HUB_OFFLINE="1")


@pytest.fixture(scope="module")
def there(peer: Process, serve: Run) -> Process:
    return before(peer, serve)


@pytest.fixture(scope="module")
def here(serve: Run, hub: Path) -> Process:
    return serve(MODELS_DIR=hub, THREADS=1)


def test_it_is_listed_and_ready(there: Process) -> None:
    assert there.get("/readyz").is_success
    listed = {
        "name": MODEL,
        "loaded": True,
        "source": "server",
        "revision": None,
        "base": None,
        "weights_sha256": None,
        "context_length": None,
    }
    assert there.get("/v1/models").json()["models"] == [listed]


def test_greedy_texts_their_ends_and_their_counts_are_those_of_the_local_engine(here: Process, there: Process) -> None:
    ends = set()
    for decoding in ({}, {"stop": ["e", "never"]}, {"stop": ["never", "never more"]}, {"max_new_tokens": 100}):
        expected = generations(here, *TEXTS, model=MODEL, **decoding)
        found = generations(there, *TEXTS, model=MODEL, **decoding)
        for mine, theirs in zip(expected, found, strict=True):
            assert theirs | {"finish_reason": ""} == mine | {"finish_reason": "", "cached_prompt_tokens": None}
            # This server is not known to tell a stop string from an end token.
            assert theirs["finish_reason"] in (mine["finish_reason"], "stop_string" if "stop" in decoding else "")
        ends |= {one["finish_reason"] for one in found}
    assert ends == {"length", "stop_string", "eos"}


def test_messages_go_through_the_models_template_there(here: Process, there: Process) -> None:
    prompts = [{"id": "1", "messages": [{"role": "user", "content": "Name three."}]}]
    body = {"model": MODEL, "prompts": prompts, "decoding": {"max_new_tokens": 24}}
    expected, found = (service.post("/v1/generations", json=body).json()["generations"] for service in (here, there))
    assert found == [one | {"prompt_sha256": None, "cached_prompt_tokens": None} for one in expected]  # rendered there


def test_a_loop_is_ended_in_its_stream_as_it_is_here(here: Process, there: Process) -> None:
    """At the same place or a little later: a stream of this server holds a word back until it is whole."""
    rule = {"min_repeats": 3, "min_characters": 60, "audit_share": 0}
    decoding = {"max_new_tokens": 200, "stop_loops": rule}
    letters = "abcdefghijklmnopqrstuvwx"
    expected, found = (generations(service, *letters, model=MODEL, **decoding) for service in (here, there))
    assert any(one["finish_reason"] == "loop" for one in found)
    for mine, theirs in zip(expected, found, strict=True):
        assert (theirs["loop"] is None) == (mine["loop"] is None)
        assert theirs["raw_text"].startswith(mine["raw_text"]) or mine["raw_text"].startswith(theirs["raw_text"])
        assert theirs["prompt_tokens"] == mine["prompt_tokens"]


def test_what_it_does_not_take_is_refused_before_it_is_asked(there: Process) -> None:
    assert problem(post(there, "a", model=MODEL, top_k=3)) == (422, "unsupported-decoding")
