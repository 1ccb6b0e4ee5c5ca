"""Requests beyond what may be unfinished, refused with a time; nothing is lost and all room comes back."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import httpx
import pytest
from plumbline_contracts.generator import Generation, GenerationRequest, GenerationResponse, Origin
from plumbline_generator.canned import CannedGenerator
from plumbline_generator.queued import Queued
from plumbline_generator.telling import Tell
from plumbline_kit.errors import ProblemError

Ask = Callable[..., GenerationRequest]


class Held(CannedGenerator):
    """Answers once it is let go."""

    def __init__(self) -> None:
        super().__init__(None)
        self.let_go = asyncio.Event()

    async def stream(self, request: GenerationRequest, tell: Tell | None = None) -> AsyncGenerator[Generation | Origin]:
        await self.let_go.wait()
        async with aclosing(super().stream(request, tell)) as results:
            async for result in results:
                yield result


async def two_under_way(ask: Ask) -> tuple[Held, Queued, list[asyncio.Task[GenerationResponse]]]:
    engine = Held()
    queued = Queued(engine, 4)
    tasks = [asyncio.create_task(queued.generate(ask("a", "b"))) for _ in range(2)]
    await asyncio.sleep(0)  # until they wait in the engine
    return engine, queued, tasks


def test_a_request_beyond_the_bound_is_refused_whole_and_later_taken(ask: Ask) -> None:
    async def run() -> None:
        engine, queued, tasks = await two_under_way(ask)
        with pytest.raises(ProblemError, match="GENERATOR_QUEUE") as full:
            await queued.generate(ask("c"))
        assert (full.value.status, full.value.kind) == (429, "queue-full")
        assert full.value.retry_after is not None and full.value.retry_after > 0
        engine.let_go.set()
        assert [len((await task).generations) for task in tasks] == [2, 2]
        assert len((await queued.generate(ask("c", "d", "e", "f"))).generations) == 4

    asyncio.run(run())


def test_what_is_cancelled_gives_its_room_back(ask: Ask) -> None:
    async def run() -> None:
        engine, queued, tasks = await two_under_way(ask)
        tasks[0].cancel()
        await asyncio.wait(tasks[:1])
        engine.let_go.set()
        assert len((await queued.generate(ask("c", "d"))).generations) == 2
        await tasks[1]

    asyncio.run(run())


def test_a_full_service_stays_ready_and_counts(ask: Ask, serve: Callable[..., httpx.Client]) -> None:
    client = serve(ENGINE="canned", QUEUE=256)
    assert client.get("/readyz").is_success
    assert client.post("/v1/generations", json=ask(*map(str, range(256))).model_dump()).is_success
    assert "plumbline_generator_unfinished_prompts 0.0" in client.get("/metrics").text
