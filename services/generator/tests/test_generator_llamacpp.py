"""Real inference servers: llama.cpp's, and llama-cpp-python's, write what the local engine writes.

Run where LLAMA_SERVER names the program of the one, and LLAMA_CPP_PYTHON the Python that has the other.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gguf_of_llama import write_gguf

from .conftest import HUB_MODEL as MODEL
from .conftest import TEMPLATE, Process, Run
from .test_generator_local import TEXTS
from .test_generator_openai import before, generations
from .test_generator_watched import more

LLAMA_SERVER, PYTHON = os.environ.get("LLAMA_SERVER", ""), os.environ.get("LLAMA_CPP_PYTHON", "")
CONTEXT = 256
LISTENS = ["--host", "127.0.0.1", "--port", "{port}"]
RUN_IT = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"
# In single precision, as the local engine; half of it, the default, changes the third digit of a score.
EXACT = ["--cache-type-k", "f32", "--cache-type-v", "f32", "--flash-attn", "off", "--threads", "1"]
CHAT = [{"role": "user", "content": "Name three."}]
# By how it writes what was thought before, this server knows that the model thinks.
THINKING = (
    "{% for message in messages %}<{{ message.role }}>"
    "{% if message.reasoning_content %}<think>\n{{ message.reasoning_content }}\n</think>\n\n{% endif %}"
    "{{ message.content }}\n{% endfor %}{% if add_generation_prompt %}<assistant><think>\n{% endif %}"
)
RULE = {"min_repeats": 3, "min_characters": 60, "audit_share": 0}
llama_server = pytest.mark.skipif(not LLAMA_SERVER, reason="needs llama-server (services/generator/README.md)")
llama_cpp_python = pytest.mark.skipif(not PYTHON, reason="needs llama-cpp-python (services/generator/README.md)")


@pytest.fixture(scope="module")
def file(hub: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model of the other peer's tests as llama.cpp reads it."""
    gguf = pytest.importorskip("gguf")
    tokenizer = json.loads((hub / MODEL / "tokenizer.json").read_text("utf-8"))
    special = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    names = sorted(vocabulary := tokenizer["model"]["vocab"] | special, key=vocabulary.__getitem__)

    def add(writer: Any) -> None:
        kinds = gguf.TokenType
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_list(names)
        writer.add_token_types([kinds.CONTROL if name in special else kinds.NORMAL for name in names])
        writer.add_token_merges(["Ā Ā"])  # there must be one: of two bytes that no text has
        writer.add_eos_token_id(vocabulary["Q"])
        writer.add_add_bos_token(False)
        writer.add_chat_template(TEMPLATE)

    written = tmp_path_factory.mktemp("llamacpp") / "tiny.gguf"
    write_gguf(hub / MODEL, written, add)
    return written


@pytest.fixture(scope="module")
def here(serve: Run, hub: Path) -> Process:
    return serve(MODELS_DIR=hub, THREADS=1)


@pytest.fixture(scope="module")
def there(run: Run, serve: Run, file: Path) -> Process:
    model = ["--model", str(file), "--alias", MODEL, "--ctx-size", str(2 * CONTEXT), "--parallel", "2"]
    return before(run("-c", RUN_IT, LLAMA_SERVER, *LISTENS, *model, *EXACT), serve)


@pytest.fixture(scope="module")
def python_there(run: Run, serve: Run, file: Path) -> Process:
    run_it = ["-c", RUN_IT, PYTHON, "-m", "llama_cpp.server"]
    model = ["--model", str(file), "--model_alias", MODEL, "--n_ctx", str(CONTEXT), "--n_threads", "1"]
    # By default a stream is broken off when somebody else asks.
    return before(
        run(*run_it, *LISTENS, *model, "--type_k", "0", "--type_v", "0", "--interrupt_requests", "false"), serve
    )


NO_CHOICE: list[dict[str, Any]] = [
    {},
    {"max_new_tokens": 100},
    {"temperature": 0.8, "top_k": 1},
    {"temperature": 0.8, "top_p": 1e-6},
    {"max_new_tokens": 150, "stop_loops": RULE},
]


@llama_server
@pytest.mark.parametrize("decoding", [*NO_CHOICE, {"repetition_penalty": 1.3, "max_new_tokens": 100}])
def test_llama_server_writes_what_the_local_engine_writes(
    here: Process, there: Process, decoding: dict[str, Any]
) -> None:
    expected = generations(here, *TEXTS, model=MODEL, **decoding)
    found = generations(there, *TEXTS, model=MODEL, **decoding)
    cache = {"cached_prompt_tokens": None}
    assert [one | cache for one in found] == [one | cache for one in expected]


@llama_cpp_python
@pytest.mark.parametrize("decoding", NO_CHOICE)
def test_llama_cpp_python_writes_what_the_local_engine_writes(
    here: Process, python_there: Process, decoding: dict[str, Any]
) -> None:
    expected = generations(here, *TEXTS, model=MODEL, **decoding)
    found = generations(python_there, *TEXTS, model=MODEL, **decoding)
    for mine, theirs in zip(expected, found, strict=True):
        ended = mine["finish_reason"] == "eos"  # this server does not count the end token
        counted = {"completion_tokens": mine["completion_tokens"] - ended, "cached_prompt_tokens": None}
        assert theirs == mine | counted


@llama_server
def test_a_stop_string_ends_a_text_and_is_not_in_what_it_tells(here: Process, there: Process) -> None:
    expected = generations(here, *TEXTS, model=MODEL, stop=["e", "never"])
    found = generations(there, *TEXTS, model=MODEL, stop=["e", "never"])
    for mine, theirs in zip(expected, found, strict=True):
        assert (theirs["text"], theirs["completion_tokens"]) == (mine["text"], mine["completion_tokens"])
        if mine["finish_reason"] != "eos":  # this server does not tell which of them it was
            assert theirs["finish_reason"] == mine["finish_reason"]


@llama_server
def test_a_seed_repeats_a_text_and_another_does_not(there: Process) -> None:
    first, again, other = (generations(there, *TEXTS, model=MODEL, temperature=2, seed=seed) for seed in (1, 1, 2))
    assert [one["text"] for one in first] == [one["text"] for one in again] != [one["text"] for one in other]


@llama_server
def test_messages_tokens_and_log_probabilities(here: Process, there: Process) -> None:
    prompts = [{"text": "Name three."}, {"messages": CHAT}, {"tokens": [40, 50]}]
    for decoding in ({}, {"repetition_penalty": 1.3}):
        expected, found = (
            more(service, prompts, decoding, model=MODEL, logprobs=2).json()["generations"] for service in (here, there)
        )
        for mine, theirs in zip(expected, found, strict=True):
            assert (theirs["text"], theirs["prompt_tokens"]) == (mine["text"], mine["prompt_tokens"])
            assert [token["token"] for token in theirs["logprobs"]] == [token["token"] for token in mine["logprobs"]]
            assert scores(theirs) == pytest.approx(scores(mine), abs=1e-3)


def scores(one: dict[str, Any]) -> list[float]:
    """Of the tokens written and of their alternatives, whose names differ: special tokens have none there."""
    return [found["logprob"] for token in one["logprobs"] for found in (token, *token["alternatives"])]


@llama_server
def test_what_a_model_thinks_is_in_its_text(run: Run, serve: Run, here: Process, file: Path, tmp_path: Path) -> None:
    """A template that lets the model think first; this server writes its beginning into the text, too."""
    (tmp_path / "template.jinja").write_text(THINKING)
    options = ["--model", str(file), "--alias", MODEL, "--chat-template-file", str(tmp_path / "template.jinja")]
    thinking = before(run("-c", RUN_IT, LLAMA_SERVER, *LISTENS, *options, *EXACT), serve)
    [theirs] = more(thinking, [{"messages": CHAT}], {}, model=MODEL).json()["generations"]
    [mine] = generations(here, "<user>Name three.\n<assistant><think>\n", model=MODEL)
    assert theirs["text"] == "<think>\n" + mine["text"]


@llama_server
def test_a_prompt_that_is_too_long_or_becomes_too_long_is_an_error(there: Process) -> None:
    long, grows, fits = generations(there, "a" * 300, "a" * 200, "a", model=MODEL, max_new_tokens=100)
    assert (long["finish_reason"], "context size" in long["cause"]) == ("error", True)
    assert (grows["finish_reason"], "max_new_tokens" in grows["cause"]) == ("error", True)
    assert fits["cause"] is None
    error = there.post("/v1/completions", json={"model": MODEL, "prompt": "a" * 300}).json()["error"]
    assert error["code"] == "context_length_exceeded" and "300 tokens" in error["message"]
