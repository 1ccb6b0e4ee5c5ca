"""What the workflow engine gave up does not go on for ever in our tables."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from plumbline_contracts.coordinator import ExperimentState, PhaseName
from plumbline_contracts.experiment import ExperimentSpec
from plumbline_coordinator import database
from plumbline_coordinator.attempt import Attempt
from plumbline_coordinator.lease import claim
from plumbline_coordinator.settings import Settings
from plumbline_coordinator.store import Store
from plumbline_coordinator.transactions import GOING_ON
from plumbline_coordinator.workflows import Workflows

SPEC = ExperimentSpec.model_validate(
    {
        "name": "test",
        "languages": ["en"],
        "dataset": {"path": "absent.jsonl"},
        "models": {"tiny": {"base": "tiny-base"}},
        "arms": [{"name": "zero-shot", "model": "tiny"}],
        "decoding": {"max_new_tokens": 8},
    }
)


class EndsAtTheSecondTry(Attempt):
    """Its work fails, and so does telling that."""

    tries = 0

    def start_phase(self, name: PhaseName, total: int) -> None:
        raise RuntimeError("no phase")

    def end(self, state: ExperimentState, cause: str | None = None) -> None:
        EndsAtTheSecondTry.tries += 1
        if self.tries == 1:
            raise RuntimeError("not this time")
        super().end(state, cause)


class Failing(Store):
    def attempt(self, id: str, number: int | None = None) -> Attempt:
        return EndsAtTheSecondTry(self.engine, id, number or 1)


def test_an_experiment_whose_workflow_could_not_end_it_is_ended(tmp_path: Path) -> None:
    settings = Settings(
        PLUMBLINE_ARTIFACTS_DIR=tmp_path / "artifacts", database_url=f"sqlite:///{tmp_path}/test.sqlite"
    )
    engine = database.connect(settings.database_url)
    database.migrate(engine)
    store, mine = Failing(engine), claim(engine.url, None, 15)
    mine.acquire()
    store.create("a", SPEC, "text", "a.yaml", {}, "0" * 64)

    async def run() -> None:
        workflows = Workflows(store, settings, mine)
        try:
            await workflows.launch()
            deadline = time.monotonic() + 60
            while await asyncio.to_thread(store.state, "a") in GOING_ON and time.monotonic() < deadline:
                await asyncio.sleep(0.2)
        finally:
            workflows.close()
            mine.release()

    asyncio.run(run())
    row = store.get("a")
    assert (row.state, row.cause) == ("failed", "Its workflow ended as ERROR: not this time")


def test_what_another_order_of_steps_began_goes_on_as_the_next_attempt(tmp_path: Path) -> None:
    settings = Settings(
        PLUMBLINE_ARTIFACTS_DIR=tmp_path / "artifacts",
        database_url=f"sqlite:///{tmp_path}/test.sqlite",
        generator_url="http://127.0.0.1:9",  # nobody answers, so that it waits for ever
    )
    engine = database.connect(settings.database_url)
    database.migrate(engine)
    store, mine = Store(engine), claim(engine.url, None, 15)
    mine.acquire()
    store.create("a", SPEC, "text", "a.yaml", {}, "0" * 64)

    async def run_until(told: Callable[[], bool]) -> None:
        workflows = Workflows(store, settings, mine)
        try:
            await workflows.launch()
            deadline = time.monotonic() + 60
            while not await asyncio.to_thread(told):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.1)
        finally:
            workflows.close()

    asyncio.run(run_until(lambda: store.phases("a")["prepare"].message is not None))
    with closing(sqlite3.connect(tmp_path / "test.workflows.sqlite")) as connection, connection:
        connection.execute("update workflow_status set application_version = 'flow-1'")
    before = store.attempt("a")
    asyncio.run(run_until(lambda: store.phases("a")["prepare"].message is not None and store.get("a").attempt == 2))
    assert not before.goes_on()
    assert store.attempt("a").goes_on()
    with closing(sqlite3.connect(tmp_path / "test.workflows.sqlite")) as connection:
        found = dict(connection.execute("select workflow_uuid, status from workflow_status").fetchall())
    assert found == {"a": "CANCELLED", "a/attempt-2": "PENDING"}
    mine.release()
