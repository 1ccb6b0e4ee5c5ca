"""What servers of each kind are told, and what cannot be had there."""

from typing import Any

import pytest
from openai.types import Model
from plumbline_contracts.generator import Decoding
from plumbline_generator.dialects import LLAMA_CPP_PYTHON, LLAMACPP, SGLANG, TGI, VLLM, Dialect, dialect_of
from plumbline_generator.streams import stream_number

OTHER = Dialect()
SAMPLED: dict[str, Any] = {"max_new_tokens": 8, "temperature": 0.7, "top_p": 0.9, "seed": 3}


def decoding(**settings: Any) -> Decoding:
    return Decoding.model_validate({"max_new_tokens": 8} | settings)


def told(dialect: Dialect, **settings: Any) -> dict[str, Any]:
    asked = decoding(**settings)
    assert dialect.refusal(asked, {"enable_deterministic_inference": True}) is None
    return dialect.parameters(asked, "7")


@pytest.mark.parametrize(
    ("owner", "dialect"),
    [
        *(("vllm", VLLM), ("sglang", SGLANG), ("llamacpp", LLAMACPP), ("me", LLAMA_CPP_PYTHON)),
        *(("org/m", TGI), ("us", Dialect("us")), (None, OTHER)),
    ],
)
def test_a_server_is_known_by_who_owns_its_models(owner: str | None, dialect: Dialect) -> None:
    card = Model.construct(id="org/m", owned_by=owner) if owner else Model.construct(id="org/m")
    assert dialect_of(card) == dialect


@pytest.mark.parametrize("dialect", [VLLM, SGLANG, LLAMACPP, LLAMA_CPP_PYTHON, TGI, OTHER])
def test_openais_parameters_are_told_to_all(dialect: Dialect) -> None:
    asked = told(dialect, **SAMPLED, stop=["a", "b"])
    seed = asked.pop("seed")
    extra = asked.pop("extra_body")
    assert asked == {"max_tokens": 8, "temperature": 0.7, "top_p": 0.9, "stop": ["a", "b"]}
    assert (seed, seed < 2**31) == (stream_number(3, "7") >> 33, True)
    assert bool(extra) == (dialect not in (TGI, OTHER))


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        (VLLM, {"top_k": 5, "repetition_penalty": 1.2, "min_p": 0, "skip_special_tokens": False}),
        (
            SGLANG,
            {
                "top_k": 5,
                "repetition_penalty": 1.2,
                "min_p": 0,
                "skip_special_tokens": False,
                "separate_reasoning": False,
            },
        ),
        (
            LLAMACPP,
            {
                "top_k": 5,
                "repeat_penalty": 1.2,
                "repeat_last_n": 2**17,
                "samplers": ["penalties", "temperature", "top_k", "top_p"],
                "reasoning_format": "none",
            },
        ),
    ],
)
def test_more_parameters_have_each_servers_own_name(dialect: Dialect, expected: dict[str, Any]) -> None:
    assert told(dialect, **SAMPLED, top_k=5, repetition_penalty=1.2)["extra_body"] == expected
    assert told(dialect)["extra_body"]["top_k"] == -1  # every token; a server may have another default


def test_llama_cpp_python_is_told_of_no_penalty_and_asked_for_none() -> None:
    assert told(LLAMA_CPP_PYTHON, temperature=1)["extra_body"] == {"top_k": 0, "min_p": 0, "repeat_penalty": 1}
    assert "repetition_penalty 1.2" in str(LLAMA_CPP_PYTHON.refusal(decoding(repetition_penalty=1.2), {}))


@pytest.mark.parametrize("dialect", [TGI, OTHER])
@pytest.mark.parametrize(("name", "value"), [("top_k", 5), ("repetition_penalty", 1.2)])
def test_what_a_server_would_drop_is_refused(dialect: Dialect, name: str, value: float) -> None:
    refusal = dialect.refusal(decoding(**{name: value}), {})
    assert refusal is not None and f"{name} {value}" in refusal
    assert f"({dialect.name or 'unknown'})" in refusal


def test_a_temperature_that_vllm_would_raise_is_refused() -> None:
    assert "0.01" in str(VLLM.refusal(decoding(temperature=0.001), {}))
    assert OTHER.refusal(decoding(temperature=0.001), {}) is None
    assert told(VLLM, temperature=1e-6)["temperature"] == 0


def test_a_seed_that_sglang_would_ignore_is_refused() -> None:
    assert "seed" in str(SGLANG.refusal(decoding(temperature=1), {"enable_deterministic_inference": False}))
    assert SGLANG.refusal(decoding(), {}) is None


def test_top_p_1_is_told_but_to_tgi_which_means_it_by_none() -> None:
    assert told(VLLM, temperature=1)["top_p"] == told(OTHER, temperature=1)["top_p"] == 1
    assert "top_p" not in told(TGI, temperature=1)
    assert "top_p" not in told(TGI, temperature=0, top_p=0.5)  # it would sample


def test_more_stop_strings_than_a_server_takes_are_left_to_us() -> None:
    stop = list("abcdef")
    assert (told(VLLM, stop=stop)["stop"], told(LLAMACPP, stop=stop)["stop"]) == (stop, stop)
    assert told(TGI, stop=stop)["stop"] == told(OTHER, stop=stop)["stop"] == stop[:4]
