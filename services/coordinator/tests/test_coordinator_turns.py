"""One turn at a service at a time, in the order in which they were asked for."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from plumbline_coordinator.lease import claim
from plumbline_coordinator.tables import queue
from plumbline_coordinator.turns import Turns
from plumbline_kit.errors import ProblemError
from sqlalchemy import Engine, func, select


def _turns(engine: Engine) -> Turns:
    return Turns(engine, claim(engine.url, None, 15))


def _waiting(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(queue)) or 0


async def _until(told: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not told():
            await asyncio.sleep(0.01)


def test_turns_at_a_service_come_one_after_the_other_and_elsewhere_side_by_side(engine: Engine) -> None:
    turns, log = _turns(engine), list[str]()

    async def take(name: str, service: str, end: asyncio.Event) -> None:
        async with turns.at(service):
            log.append(name)
            await end.wait()

    async def run() -> None:
        ends = [asyncio.Event() for _ in range(4)]
        async with asyncio.TaskGroup() as tasks:
            for number, (end, service) in enumerate(zip(ends, ["judge", "judge", "judge", "generator"], strict=True)):
                tasks.create_task(take(f"{service} {number}", service, end))
                await _until(lambda: _waiting(engine) == number + 1)  # noqa: B023
            await _until(lambda: len(log) == 2)
            for end in ends:
                end.set()

    asyncio.run(run())
    assert log == ["judge 0", "generator 3", "judge 1", "judge 2"]
    assert _waiting(engine) == 0


def test_who_gives_up_waiting_or_fails_holds_nobody_up(engine: Engine) -> None:
    turns = _turns(engine)

    async def take(error: Exception | None = None) -> str:
        async with turns.at("judge"):
            if error is not None:
                raise error
            return "had it"

    async def run() -> str:
        async with turns.at("judge"):
            waiting = asyncio.create_task(take())
            await _until(lambda: _waiting(engine) == 2)
            waiting.cancel()
            with suppress(asyncio.CancelledError):
                await waiting
        with suppress(ProblemError):
            await take(ProblemError(503, "no-database", "away"))
        return await take()

    assert asyncio.run(run()) == "had it"
    assert _waiting(engine) == 0


def test_what_a_killed_process_left_does_not_count(engine: Engine) -> None:
    dead, living = _turns(engine), _turns(engine)

    async def run() -> None:
        killed = dead.at("judge")
        await killed.__aenter__()
        living.tidy()  # at the start; the only process has the name of the one before
        async with asyncio.timeout(30), living.at("judge"):
            assert _waiting(engine) == 1

    asyncio.run(run())


def test_whose_row_was_taken_for_that_of_a_dead_waits_on(engine: Engine) -> None:
    """At the end: who came meanwhile is before it."""
    turns, log = _turns(engine), list[str]()

    async def take(name: str) -> None:
        async with turns.at("judge"):
            log.append(name)

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks, turns.at("judge"):
            tasks.create_task(take("first"))
            await _until(lambda: _waiting(engine) == 2)
            with engine.begin() as connection:
                connection.execute(queue.delete().where(queue.c.place == 2))
            await _until(lambda: _waiting(engine) == 2)

    asyncio.run(run())
    assert log == ["first"]
