"""The coordinator on PostgreSQL, as in a deployment: the same experiment, killed in the middle."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.model_free import write_spec
from tests.postgresql import PostgreSQL, binary
from tests.services import MODEL_FREE
from tests.stack import Stack, wait_for

ITEMS = 12


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    if binary("initdb") is None:
        pytest.skip("no PostgreSQL server here; Debian: apt-get install postgresql")
    with PostgreSQL() as server:
        yield server.create("plumbline")


def test_an_experiment_survives_kills_on_postgresql(postgresql: str, tmp_path: Path) -> None:
    spec = write_spec(tmp_path, ITEMS)
    settings = MODEL_FREE | {"COORDINATOR_DATABASE_URL": postgresql, "COORDINATOR_BATCH_SIZE": "4"}
    with Stack(tmp_path / "home", settings) as stack:
        for id in ("undisturbed", "killed"):
            stack.coordinator.submit(id, spec).raise_for_status()
            if id == "killed":
                for phase in ("generate", "judge"):
                    wait_for(lambda: stack.coordinator.phase("killed", phase)["done"] > 0, 120, phase)  # noqa: B023
                    stack.kill("coordinator")
                    stack.start("coordinator")
                    stack.wait_ready("coordinator")
            assert stack.coordinator.finish(id)["state"] == "completed"
        records = stack.coordinator.responses("killed")
        assert len(records) == 3 * 3 * ITEMS
        assert records == stack.coordinator.responses("undisturbed")
        assert stack.coordinator.http.get("/info").json()["implementation"] == "dbos-postgresql"
