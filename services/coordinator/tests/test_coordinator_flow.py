"""How fast a service is asked, and which settings say so."""

import asyncio
import time
from contextlib import suppress

import pytest
from plumbline_coordinator import waiting
from plumbline_coordinator.flow import Flow
from plumbline_coordinator.settings import ServiceLimits, Settings
from plumbline_kit.client import OUTSTANDING, Unreachable
from plumbline_kit.errors import ProblemError
from pydantic import ValidationError


async def ask(flow: Flow, error: ProblemError | None = None) -> None:
    with suppress(ProblemError):
        async with flow.request():
            await asyncio.sleep(0.001)  # all are under way before the first is answered
            if error is not None:
                raise error


def test_a_busy_service_is_asked_by_half_as_many_and_then_by_one_more_at_a_time() -> None:
    async def run() -> list[float]:
        flow, seen = Flow(ServiceLimits(concurrency=16)), list[float]()
        await ask(flow, ProblemError(429, "busy", "", retry_after=0.01))
        seen.append(flow.at_once)
        await ask(flow, ProblemError(503, "busy", "", retry_after=0.01))
        seen.append(flow.at_once)
        for _ in range(5):  # after as many answers as there are at once, one more
            await ask(flow)
        seen.append(flow.at_once)
        for _ in range(500):
            await ask(flow)
        return [*seen, flow.at_once]

    assert asyncio.run(run()) == [8, 4, 5, 16]


def test_many_refusals_of_one_moment_count_once_and_an_absent_service_is_not_busy() -> None:
    async def run() -> list[int]:
        flow = Flow(ServiceLimits(concurrency=8))
        await asyncio.gather(*(ask(flow, ProblemError(429, "busy", "", retry_after=0.01)) for _ in range(8)))
        once = flow.at_once
        await ask(flow, Unreachable("http://x", "refused"))
        return [once, flow.at_once]

    assert asyncio.run(run()) == [4, 4]


def test_no_more_are_under_way_than_may_be_and_all_wait_as_long_as_one_was_told_to() -> None:
    async def run() -> tuple[int, float]:
        flow, now, most = Flow(ServiceLimits(concurrency=3)), 0, 0
        await ask(flow, ProblemError(429, "busy", "", retry_after=0.3))
        begun = time.monotonic()

        async def one() -> None:
            nonlocal now, most
            async with flow.request():
                now += 1
                most = max(most, now)
                await asyncio.sleep(0.001)
                now -= 1

        await asyncio.gather(*(one() for _ in range(4)))
        return most, time.monotonic() - begun

    most, waited = asyncio.run(run())
    assert most <= 3
    assert waited >= 0.29


def test_requests_per_second_are_bounded() -> None:
    async def run() -> float:
        flow, begun = Flow(ServiceLimits(concurrency=8, rate=20)), time.monotonic()
        await asyncio.gather(*(ask(flow) for _ in range(5)))
        return time.monotonic() - begun

    assert asyncio.run(run()) >= 4 / 20 - 0.01


def test_every_service_may_have_limits_of_its_own() -> None:
    services = {"generator": {"concurrency": 8}, "judge:strict": {"rate": 0.5}}
    settings = Settings(judges={"strict": "http://127.0.0.1:9"}, concurrency=3, services=services)
    assert settings.limits_of("generator") == ServiceLimits(concurrency=8)
    assert settings.limits_of("judge:strict") == ServiceLimits(concurrency=3, rate=0.5)
    assert settings.limits_of("translator") == ServiceLimits(concurrency=3)
    with pytest.raises(ValidationError, match="no service judge:lax; there are translator"):
        Settings(services={"judge:lax": {"rate": 1}})
    with pytest.raises(ValidationError, match="concurrency"):
        Settings(services={"generator": {"concurrency": 0}})


def test_waiting_ends_where_nothing_can_change_by_itself_or_patience_is_over() -> None:
    async def stuck(error: ProblemError, patience: float) -> waiting.Stuck:
        async def call() -> None:
            raise error

        async def say(_: str | None) -> None: ...

        with pytest.raises(waiting.Stuck) as caught:
            await waiting.patiently(call, waiting.Tell(say, patience))
        return caught.value

    refused = asyncio.run(stuck(ProblemError(403, "forbidden", "No right to that."), 1000))
    assert (refused.kind, str(refused)) == ("credentials", "No right to that.")
    away = Unreachable("http://x", "refused")
    away.retry_after = 0.01
    gone = asyncio.run(stuck(away, 0.02))
    assert gone.kind == "service"
    assert "http://x does not answer" in str(gone)


def test_an_answer_that_is_being_made_is_waited_for_however_often_one_must_ask() -> None:
    tries, told = 0, list[str | None]()

    async def call() -> str:
        nonlocal tries
        tries += 1
        if tries <= 6:
            raise ProblemError(409, OUTSTANDING, "It is still being answered.", retry_after=0.001)
        return "the first answer"

    async def say(message: str | None) -> None:
        told.append(message)

    assert asyncio.run(waiting.patiently(call, waiting.Tell(say))) == "the first answer"
    assert told[-1] is None


def test_who_gives_up_while_held_back_leaves_the_place_to_the_next() -> None:
    async def run() -> None:
        flow = Flow(ServiceLimits(concurrency=1))
        await ask(flow, ProblemError(429, "busy", "", retry_after=60))
        held, next_one = (asyncio.create_task(ask(flow)) for _ in range(2))
        await asyncio.sleep(0)  # the first has the place, the second waits for it
        flow.held_until = 0.0
        held.cancel()
        await asyncio.wait_for(next_one, 10)

    asyncio.run(run())
