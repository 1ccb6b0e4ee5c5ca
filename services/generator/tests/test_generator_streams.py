"""Results that are told one by one: what a caller has when the stream does not end well."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import httpx
import openai
import pytest
from plumbline_contracts.generator import GenerationEvent, GenerationRequest
from plumbline_kit.client import Interrupted, ServiceClient
from plumbline_kit.errors import PREFIX

from .conftest import Process, Run
from .inference_server import MODEL
from .test_generator_openai import before, behave, generations

Ask = Callable[..., GenerationRequest]


@pytest.fixture(scope="module")
def server(inference_server: Run) -> Process:
    return inference_server()


@pytest.fixture(scope="module")
def one_at_a_time(server: Process, serve: Run) -> Process:
    return before(server, serve, BACKEND_CONCURRENCY=1, BACKEND_RETRIES=0)


async def events(service: httpx.Client, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
    async with (
        ServiceClient(str(service.base_url)) as client,
        aclosing(client.lines("/v1/generations/stream", request, GenerationEvent)) as lines,
    ):
        async for event in lines:
            yield event


def streamed(service: httpx.Client, request: GenerationRequest) -> list[GenerationEvent]:
    async def read() -> list[GenerationEvent]:
        return [event async for event in events(service, request)]

    return asyncio.run(read())


def test_what_was_told_before_a_problem_stands(server: Process, one_at_a_time: Process, ask: Ask) -> None:
    behave(server, "ok")
    alone = generations(one_at_a_time, "one")
    behave(server, "one_only")
    first, last = streamed(one_at_a_time, ask("one", "two", "three", model=MODEL))
    assert first.generation is not None and [first.generation.model_dump(mode="json")] == alone
    assert (last.generation, last.origin) == (None, None)
    assert last.problem is not None and last.problem.type == f"{PREFIX}backend-unavailable"
    assert (last.problem.status, "429: overloaded" in last.problem.detail) == (503, True)


def test_a_client_of_openai_has_what_came_before_a_problem(server: Process, one_at_a_time: Process) -> None:
    behave(server, "one_only")
    with openai.OpenAI(base_url=f"{one_at_a_time.base_url}/v1", api_key="none", max_retries=0) as client:
        stream = client.completions.create(model=MODEL, prompt=["one", "two"], temperature=0, stream=True)
        told = []
        with pytest.raises(openai.APIError, match="429: overloaded"):
            for chunk in stream:
                told.append(chunk.choices[0])
    assert {one.index for one in told} == {0} and told[-1].finish_reason is not None


def test_what_was_told_by_a_service_that_dies_stands(server: Process, serve: Run, ask: Ask) -> None:
    service = before(server, serve, BACKEND_CONCURRENCY=1)
    behave(server, "slow")

    async def read() -> list[GenerationEvent]:
        found = []
        with pytest.raises(Interrupted):
            async for event in events(service, ask("one", "two", "three", model=MODEL)):
                found.append(event)
                service.kill()
        return found

    [only] = asyncio.run(read())
    assert only.generation is not None and only.generation.finish_reason == "length"
