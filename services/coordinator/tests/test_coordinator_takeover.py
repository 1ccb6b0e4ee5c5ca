"""What the workflow engine gave up does not go on for ever in our tables."""

import asyncio
import time
from pathlib import Path

from plumbline_contracts.coordinator import ExperimentState, PhaseName
from plumbline_contracts.experiment import ExperimentSpec
from plumbline_coordinator import database
from plumbline_coordinator.lease import claim
from plumbline_coordinator.settings import Settings
from plumbline_coordinator.store import GOING_ON, Store
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


class EndsAtTheSecondTry(Store):
    """Its work fails, and so does telling that."""

    tries = 0

    def start_phase(self, id: str, name: PhaseName, total: int) -> None:
        raise RuntimeError("no phase")

    def end(self, id: str, state: ExperimentState, cause: str | None = None) -> None:
        self.tries += 1
        if self.tries == 1:
            raise RuntimeError("not this time")
        super().end(id, state, cause)


def test_an_experiment_whose_workflow_could_not_end_it_is_ended(tmp_path: Path) -> None:
    settings = Settings(
        PLUMBLINE_ARTIFACTS_DIR=tmp_path / "artifacts", database_url=f"sqlite:///{tmp_path}/test.sqlite"
    )
    engine = database.connect(settings.database_url)
    database.migrate(engine)
    store, mine = EndsAtTheSecondTry(engine), claim(engine, None, 15)
    mine.acquire()
    store.create("a", SPEC, "text", "a.yaml", {}, "0" * 64)

    async def run() -> None:
        workflows = Workflows(store, settings, mine)
        try:
            await workflows.launch()
            deadline = time.monotonic() + 30
            while await asyncio.to_thread(store.state, "a") in GOING_ON and time.monotonic() < deadline:
                await asyncio.sleep(0.2)
        finally:
            workflows.close()
            mine.release()

    asyncio.run(run())
    row = store.get("a")
    assert (row.state, row.cause) == ("failed", "Its workflow ended as ERROR: not this time")
