"""OpenAI's own client against the service as a process."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from plumbline_contracts.generator import GenerationRequest

from tests.stack import wait_for

from .conftest import HUB_MODEL

Serve = Callable[..., httpx.Client]


@pytest.fixture(scope="module")
def service(tiny_model: Path, serve: Serve) -> httpx.Client:
    return serve(MODELS_DIR=tiny_model.parent, THREADS=1)


@pytest.fixture(scope="module")
def client(service: httpx.Client) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{service.base_url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def hub_service(hub: Path, serve: Serve) -> httpx.Client:
    return serve(MODELS_DIR=hub, THREADS=1)


@pytest.fixture(scope="module")
def hub_client(hub_service: httpx.Client) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{hub_service.base_url}/v1", api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def canned(serve: Serve) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{serve(ENGINE='canned').base_url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_a_completion_is_what_the_contract_s_own_operation_writes(
    service: httpx.Client, client: openai.OpenAI, ask: Callable[..., GenerationRequest]
) -> None:
    own = service.post("/v1/generations", json=ask("one", "two", stop=["e"]).model_dump()).json()["generations"]
    answer = client.completions.create(model="tiny", prompt=["one", "two"], max_tokens=24, temperature=0, stop="e")
    assert [(one.index, one.text) for one in answer.choices] == [(0, own[0]["text"]), (1, own[1]["text"])]
    assert {one.finish_reason for one in answer.choices} <= {"stop", "length"}
    assert answer.usage is not None and answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens == sum(one["prompt_tokens"] for one in own)
    assert answer.usage.completion_tokens == sum(one["completion_tokens"] for one in own)


def test_models_are_listed_for_both_kinds_of_client(service: httpx.Client, client: openai.OpenAI) -> None:
    assert [(one.id, one.owned_by) for one in client.models.list()] == [("tiny", "plumbline")]
    assert service.get("/v1/models").json()["models"][0]["name"] == "tiny"


def test_a_model_is_retrieved_by_its_name_also_by_one_with_a_slash(
    hub_service: httpx.Client, hub_client: openai.OpenAI
) -> None:
    listed = list(hub_client.models.list())
    assert HUB_MODEL in {one.id for one in listed}
    assert [hub_client.models.retrieve(one.id) for one in listed] == listed
    for name in ("nobody/nothing", "artifact:none"):
        with pytest.raises(openai.NotFoundError, match=f"'{name}' is not among .*{HUB_MODEL}") as unknown:
            hub_client.models.retrieve(name)
        assert (unknown.value.code, unknown.value.type) == ("model_not_found", "invalid_request_error")
    encoded, plain = (hub_service.get(f"/v1/models/{HUB_MODEL.replace('/', slash)}") for slash in ("%2F", "/"))
    assert encoded.json() == plain.json() and plain.json()["id"] == HUB_MODEL


def test_what_the_contract_has_below_models_stays_its_own(service: httpx.Client) -> None:
    known, unknown = (service.get("/v1/models/identity", params={"model": model}) for model in ("tiny", "nope"))
    assert known.json()["engine"] == "transformers"
    assert (unknown.status_code, unknown.headers["content-type"]) == (422, "application/problem+json")


def test_choices_differ_and_a_seed_repeats_them(client: openai.OpenAI) -> None:
    def texts(seed: int | None) -> list[str]:
        answer = client.completions.create(model="tiny", prompt="one", n=3, seed=seed, temperature=2)
        return [one.text for one in answer.choices]

    assert len(set(texts(7))) == 3
    assert texts(7) == texts(7)
    assert texts(None) != texts(None)


def test_tokens_and_echo_and_scores(client: openai.OpenAI) -> None:
    """As lm-evaluation-harness asks for the likelihood of a text: everything scored, one token written."""
    tokens = [10, 20, 30, 40]
    scored = client.completions.create(
        model="tiny", prompt=[tokens, tokens], max_tokens=1, echo=True, logprobs=1, temperature=0
    )
    for choice in scored.choices:
        assert choice.logprobs is not None and choice.logprobs.token_logprobs is not None
        assert choice.logprobs.top_logprobs is not None and choice.logprobs.tokens is not None
        assert len(choice.logprobs.token_logprobs) == 5 and choice.logprobs.token_logprobs[0] is None
        assert choice.text == "".join(choice.logprobs.tokens)
        for value, best in zip(choice.logprobs.token_logprobs[1:], choice.logprobs.top_logprobs[1:], strict=True):
            assert value <= max(best.values()) <= 0
    alone = client.completions.create(model="tiny", prompt=tokens, max_tokens=0, echo=True, temperature=0)
    assert alone.choices[0].text == "".join((scored.choices[0].logprobs.tokens or [])[:4])  # type: ignore[union-attr]
    assert alone.usage is not None and alone.usage.completion_tokens == 0


def test_texts_stream_as_they_are_written_and_usage_comes_last(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "tiny", "prompt": ["one", "two"], "max_tokens": 24, "temperature": 0, "stop": "e"}
    *chunks, last = client.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    whole = client.completions.create(**asked)
    for choice in whole.choices:
        parts = [one for chunk in chunks for one in chunk.choices if one.index == choice.index]
        assert "".join(part.text for part in parts) == choice.text and len(parts) > 3
        assert [part.finish_reason for part in parts] == [None] * (len(parts) - 1) + [choice.finish_reason]
    assert last.choices == [] and last.usage == whole.usage


def test_with_scores_or_an_echo_a_choice_streams_whole(client: openai.OpenAI) -> None:
    for more in ({"logprobs": 1}, {"echo": True}):
        asked: dict[str, Any] = {"model": "tiny", "prompt": "one", "max_tokens": 8, "temperature": 0} | more
        (chunk,) = client.completions.create(**asked, stream=True)
        assert chunk.choices == client.completions.create(**asked).choices


def test_the_first_part_comes_before_the_end_and_who_leaves_then_ends_the_work(
    tiny_model: Path, serve: Callable[..., httpx.Client]
) -> None:
    service = serve(MODELS_DIR=tiny_model.parent, THREADS=1, BATCH_SIZE=1)  # seconds of work
    with openai.OpenAI(base_url=f"{service.base_url}/v1", api_key="none", max_retries=0) as client:
        stream = client.completions.create(model="tiny", prompt="one", n=128, max_tokens=200, stream=True)
        first = next(stream)
        assert first.choices[0].text and first.choices[0].finish_reason is None
        stream.close()
    wait_for(lambda: metric(service, "unfinished_prompts") == 0, 60, "the work to be ended")
    assert metric(service, "completion_tokens_total") < 128 * 200


def metric(service: httpx.Client, name: str) -> float:
    lines = service.get("/metrics").text.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"plumbline_generator_{name} ")))


def test_chat(canned: openai.OpenAI) -> None:
    hello = [{"role": "user", "content": "Hello"}]
    whole = canned.chat.completions.create(model="canned", messages=hello)  # type: ignore[call-overload]
    assert whole.choices[0].message.content.startswith("This is canned answer")
    chunks = list(canned.chat.completions.create(model="canned", messages=hello, stream=True))  # type: ignore[call-overload]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "stop"


def test_a_chat_with_a_model_s_own_template_is_the_completion_of_what_the_template_writes(
    hub_client: openai.OpenAI,
) -> None:
    messages: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Name three."}]
    written = "<system>Be brief.\n<user>Name three.\n<assistant>"
    asked: dict[str, Any] = {"model": HUB_MODEL, "max_tokens": 24, "temperature": 0}
    chat = hub_client.chat.completions.create(messages=messages, logprobs=True, top_logprobs=2, **asked)
    text = hub_client.completions.create(prompt=written, logprobs=2, **asked)
    (scored,) = hub_client.chat.completions.create(messages=messages, stream=True, logprobs=True, **asked)
    with hub_client.chat.completions.stream(messages=messages, **asked) as events:
        parts = [event.delta for event in events if event.type == "content.delta"]
        streamed = events.current_completion_snapshot
    of_parts = hub_client.chat.completions.create(
        messages=[{"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}, messages[1]], **asked
    )
    (one,), (other,) = chat.choices, text.choices
    assert one.message.content == other.text == of_parts.choices[0].message.content == scored.choices[0].delta.content
    assert "".join(parts) == other.text and len(parts) > 3
    assert streamed.choices[0].message.content == other.text and streamed.choices[0].message.role == "assistant"
    assert one.finish_reason == other.finish_reason == streamed.choices[0].finish_reason
    assert chat.usage is not None and text.usage is not None
    assert chat.usage.completion_tokens == text.usage.completion_tokens
    assert chat.usage.prompt_tokens == text.usage.prompt_tokens == len(written), "its tokens are bytes"
    assert one.logprobs is not None and one.logprobs.content is not None and other.logprobs is not None
    scores = [token.logprob for token in one.logprobs.content]
    assert scores == pytest.approx(other.logprobs.token_logprobs, abs=1e-4), "the second prompt was in the cache"
    assert all(len(token.top_logprobs) == 2 for token in one.logprobs.content)


def test_a_chat_with_a_model_without_a_template_is_refused_with_the_cause(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="tiny has no chat template; ask with a text") as refused:
        client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "Hello"}])
    assert refused.value.code == "cannot-complete"


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_too_long_is_told_as_openai_tells_it(
    client: openai.OpenAI, hub_client: openai.OpenAI, stream: bool
) -> None:
    with pytest.raises(openai.BadRequestError, match=r"Prompt 1: .*context length is 256 tokens.* 300, and 16") as text:
        client.completions.create(model="tiny", prompt=["a", "b" * 300], stream=stream)
    messages: list[Any] = [{"role": "user", "content": "b" * 300}]
    with pytest.raises(openai.BadRequestError, match=r"context length is 256 tokens; .* has 318, and 8 new") as chat:
        hub_client.chat.completions.create(model=HUB_MODEL, messages=messages, max_tokens=8, stream=stream)
    for error in (text.value, chat.value):
        assert (error.code, error.type) == ("context_length_exceeded", "invalid_request_error")


@pytest.mark.parametrize(
    ("parameters", "param"),
    [
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"extra_body": {"min_p": 0.1}}, "min_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 128, "prompt": ["a", "b", "c"]}, "prompts"),
    ],
)
def test_what_cannot_be_honoured_is_refused(client: openai.OpenAI, parameters: dict[str, object], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.completions.create(**{"model": "tiny", "prompt": "a"} | parameters)  # type: ignore[call-overload]
    assert (refused.value.param, refused.value.type) == (param, "invalid_request_error")


def test_problems_have_the_shape_that_the_client_parses(service: httpx.Client, client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.completions.create(model="nope", prompt="a")
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="nope", prompt="a", stream=True)
    broken = service.post("/v1/completions", content=b"{", headers={"Content-Type": "application/json"})
    assert (broken.status_code, set(broken.json())) == (400, {"error"})
    own = service.post("/v1/generations", content=b"{", headers={"Content-Type": "application/json"})
    assert own.headers["content-type"] == "application/problem+json"
