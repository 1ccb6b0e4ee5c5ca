"""The coordinator on PostgreSQL, as in a deployment: the same experiment, killed in the middle."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import System, endure
from tests.integration.test_killed_services import outcome
from tests.model_free import write_spec
from tests.postgresql import PostgreSQL, binary
from tests.services import MODEL_FREE
from tests.stack import Stack

ITEMS = 12


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    if binary("initdb") is None:
        pytest.skip("no PostgreSQL server here; Debian: apt-get install postgresql")
    with PostgreSQL() as server:
        yield server.create("plumbline")


def test_anything_is_killed_at_random_moments_on_postgresql(postgresql: str, tmp_path: Path) -> None:
    spec = write_spec(tmp_path, ITEMS)
    settings = MODEL_FREE | {
        "COORDINATOR_DATABASE_URL": postgresql,
        "COORDINATOR_BATCH_SIZE": "4",
        "COORDINATOR_LEASE_S": "3",
    }
    with Stack(tmp_path / "home", MODEL_FREE | settings) as stack:
        stack.coordinator.submit("undisturbed", spec).raise_for_status()
        assert stack.coordinator.finish("undisturbed")["state"] == "completed"
        assert stack.coordinator.http.get("/info").json()["implementation"] == "dbos-postgresql"
        again = tmp_path / "again.yaml"
        again.write_text(spec.read_text().replace("reuse: false\n", ""))
        stack.coordinator.submit("reused", again).raise_for_status()
        assert stack.coordinator.finish("reused")["state"] == "completed"
        assert stack.coordinator.phase("reused", "generate")["reused"] == 3 * 3 * ITEMS
        assert stack.coordinator.responses("reused") == stack.coordinator.responses("undisturbed")
        system = System(stack, [stack], spec, batches=3 * 3 * ITEMS // 4, under_way=2)
        endure(system, outcome(stack.coordinator, "undisturbed"), outcome)
