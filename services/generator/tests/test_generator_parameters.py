"""No field of a request is dropped in silence: each is sent, done here, or refused; the README's table says which."""

from pathlib import Path
from typing import Any

import pytest
from plumbline_contracts.generator import Decoding, GenerationRequest, Prompt
from plumbline_generator import dialects, tgi
from plumbline_generator.dialects import Dialect
from plumbline_generator.failures import Refused, refuse_what_it_cannot
from plumbline_generator.openai import question
from plumbline_kit.errors import ProblemError

README = Path(__file__).parents[1] / "README.md"
DRAWN = {"max_new_tokens": 5, "temperature": 0.5}
CHAT = [{"role": "user", "content": "a"}]
CHANGED: dict[str, dict[str, Any]] = {
    "prompts.text": {"prompts": [{"id": "1", "text": "b"}]},
    "prompts.messages": {"prompts": [{"id": "1", "messages": CHAT}]},
    "prompts.tokens": {"prompts": [{"id": "1", "tokens": [1]}]},
    "prefix": {"prefix": "b"},
    "decoding.max_new_tokens": {"decoding": DRAWN | {"max_new_tokens": 6}},
    "decoding.temperature": {"decoding": DRAWN | {"temperature": 0.6}},
    "decoding.top_p": {"decoding": DRAWN | {"top_p": 0.5}},
    "decoding.top_k": {"decoding": DRAWN | {"top_k": 3}},
    "decoding.repetition_penalty": {"decoding": DRAWN | {"repetition_penalty": 1.5}},
    "decoding.stop": {"decoding": DRAWN | {"stop": ["b"]}},
    "decoding.seed": {"decoding": DRAWN | {"seed": 9}},
    "decoding.stop_loops": {"decoding": DRAWN | {"stop_loops": {}}},
    "logprobs": {"decoding": {"max_new_tokens": 5}, "logprobs": 1},
    "prompt_logprobs": {"decoding": {"max_new_tokens": 5}, "logprobs": 1, "prompt_logprobs": True},
    "deadline_seconds": {"deadline_seconds": 5},
}
# What a request without the field is compared with, where that is not one that draws.
GREEDY: dict[str, dict[str, Any]] = {
    "logprobs": {"decoding": {"max_new_tokens": 5}},
    "prompt_logprobs": {"decoding": {"max_new_tokens": 5}, "logprobs": 1},
}
HERE = {"decoding.stop_loops", "deadline_seconds"}
NAMES = {"model", "prefix_sha256", "prompts.id"}  # of what is asked for, not how
SERVERS = {
    "vLLM": dialects.VLLM,
    "SGLang": dialects.SGLANG,
    "llama.cpp": dialects.LLAMACPP,
    "llama-cpp-python": dialects.LLAMA_CPP_PYTHON,
    "TGI's /v1": dialects.TGI,
    "any other": Dialect(),
}


def request(changes: dict[str, Any]) -> GenerationRequest:
    body = {"model": "m", "prompts": [{"id": "1", "text": "a"}], "decoding": DRAWN}
    return GenerationRequest.model_validate(body | changes)


def asked_of(dialect: Dialect, asked: GenerationRequest) -> dict[str, Any] | None:
    refuse_what_it_cannot(asked, "it", "stop_loops", "deadline_seconds", *dialect.features)
    if dialect.refusal(asked.decoding, {"enable_deterministic_inference": True}) is not None:
        return None
    return question(asked, asked.prompts[0], dialect)


def asked_of_tgi(asked: GenerationRequest) -> dict[str, Any]:
    refuse_what_it_cannot(asked, "it", *tgi.FEATURES)
    [prompt] = asked.prompts
    return {"sent": (asked.prefix, prompt.text, prompt.messages), **tgi.parameters(asked, prompt.id, 4)}


def outcome(field: str, server: str) -> str:
    def ask(changes: dict[str, Any]) -> dict[str, Any] | None:
        asked = request(changes)
        return asked_of_tgi(asked) if server == "tgi" else asked_of(SERVERS[server], asked)

    try:
        sent = ask(CHANGED[field])
    except (ProblemError, Refused):
        return "refused"
    if sent is None:
        return "refused"
    return "here" if field in HERE else "yes" if sent != ask(GREEDY.get(field, {})) else "DROPPED"


def test_every_field_of_the_contract_is_looked_at() -> None:
    fields = {f"prompts.{name}" for name in Prompt.model_fields} | {
        f"decoding.{name}" for name in Decoding.model_fields
    }
    fields |= set(GenerationRequest.model_fields) - {"prompts", "decoding"}
    assert fields == set(CHANGED) | NAMES


@pytest.mark.parametrize("server", [*SERVERS, "tgi"])
def test_no_field_is_dropped(server: str) -> None:
    assert [field for field in CHANGED if outcome(field, server) == "DROPPED"] == []


def test_the_table_in_the_readme_is_true() -> None:
    servers = [*SERVERS, "tgi"]
    rows = [f"| | {' | '.join(servers)} |", "|---" * (len(servers) + 1) + "|"]
    rows += [f"| `{field}` | {' | '.join(outcome(field, server) for server in servers)} |" for field in CHANGED]
    assert "\n".join(rows) in README.read_text("utf-8"), "the table is:\n" + "\n".join(rows)
