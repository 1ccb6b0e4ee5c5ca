"""Two coordinators on one PostgreSQL, one of the next version, and the other services, to be killed and stopped."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import plumbline_coordinator
import yaml

from tests.model_free import write_spec
from tests.postgresql import PostgreSQL, query
from tests.services import MODEL_FREE
from tests.stack import Stack, wait_for

ITEMS, BATCH, CONCURRENCY, LEASE_S = 60, 3, 2, 3.0
CHUNKS = 2 * 2 * ITEMS // BATCH  # two arms, two languages: what the generator is asked for
NEXT_VERSION = "9.9.9"
UNDER_WAY = CONCURRENCY  # batches of one service that a fault can cost, as the limit holds for all replicas together


class Replicas:
    """`a`, with all the services, and `b`, the next version, as in a rolling update. They share the database."""

    def __init__(self, home: Path, server: PostgreSQL) -> None:
        self.home, self.server, self.database = home, server, server.create("plumbline")
        self.spec = write_spec(home, ITEMS)
        smaller = yaml.safe_load(self.spec.read_text()) | {"languages": ["en", "fr"], "trainings": {}}
        smaller["arms"] = [arm for arm in smaller["arms"] if "weights" not in arm]
        self.spec.write_text(yaml.safe_dump(smaller))
        settings = MODEL_FREE | {
            "COORDINATOR_DATABASE_URL": self.database,
            "COORDINATOR_BATCH_SIZE": str(BATCH),
            "COORDINATOR_CONCURRENCY": str(CONCURRENCY),
            "COORDINATOR_LEASE_S": str(LEASE_S),
        }
        self.a = Stack(home / "a", settings | {"COORDINATOR_EXECUTOR": "a"})
        self.b = self.another("b", PYTHONPATH=str(_next_version(home)))

    def another(self, name: str, **settings: str) -> Stack:
        shared = {key: value for key, value in self.a.environment.items() if key != "COORDINATOR_PORT"}
        return Stack(self.home / name, {**shared, "COORDINATOR_EXECUTOR": name, **settings}, ["coordinator"])

    def submit(self, id: str) -> None:
        """Start an experiment and return in the middle of it."""
        self.a.coordinator.submit(id, self.spec).raise_for_status()
        wait_for(lambda: self.b.coordinator.phase(id, "generate")["done"] > 0, 120, "some responses")

    def owner(self, id: str) -> tuple[Stack, Stack]:
        """The replica that runs the experiment's workflow, and the other one."""
        ((holder,),) = query(self.database, "select executor_id from dbos.workflow_status where workflow_uuid = %s", id)
        return (self.a, self.b) if holder.startswith("a-") else (self.b, self.a)

    def under_way(self) -> dict[str, int]:
        """How much is under way in whom, by the name of the replica."""
        statement = "select split_part(executor_id, '-', 1), count(*) from dbos.workflow_status"
        return dict(query(self.database, f"{statement} where status = 'PENDING' group by 1"))

    @contextmanager
    def leases_of(self, seconds: float) -> Iterator[None]:
        """With both replicas started again under other leases."""
        self._give_leases(seconds)
        try:
            yield
        finally:
            self._give_leases(LEASE_S)

    def _give_leases(self, seconds: float) -> None:
        for replica in (self.a, self.b):
            restart(replica)
            end(replica)
            replica.environment["COORDINATOR_LEASE_S"] = str(seconds)
            restart(replica)

    def rows(self, id: str) -> dict[str, int]:
        return dict(query(self.database, "select stage, count(*) from result where experiment = %s group by stage", id))

    @contextmanager
    def batches_held(self) -> Iterator[None]:
        """With batches under way that are not answered yet."""
        with self.a.stopped("generator"):
            turns = "select count(*) from queue where service = 'generator'"
            wait_for(lambda: query(self.database, turns) == [(1,)], 60, "a turn at the generator")
            time.sleep(0.5)
            yield


def _next_version(home: Path) -> Path:
    """A copy of the coordinator in which the code of a workflow is another, but not its order of steps."""
    package = home / "next" / "plumbline_coordinator"
    shutil.copytree(Path(plumbline_coordinator.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    source = (package / "workflows.py").read_text()
    assert "work(id, attempt, name.value, service)" in source
    (package / "workflows.py").write_text(source.replace("work(id, attempt, name", "work(id, int(attempt), name"))
    (package / "__init__.py").write_text(f'"""The next version."""\n\n__version__ = "{NEXT_VERSION}"\n')
    return package.parent


def restart(replica: Stack) -> None:
    if replica.processes["coordinator"].poll() is not None:
        replica.start("coordinator")
    replica.wait_ready("coordinator")


def end(replica: Stack) -> float:
    """SIGTERM, and how long it takes to end."""
    started = time.monotonic()
    replica.processes["coordinator"].terminate()
    replica.processes["coordinator"].wait(30)
    return time.monotonic() - started


def seconds_until(condition: Callable[[], bool], limit: float, what: str) -> float:
    started = time.monotonic()
    wait_for(condition, limit, what)
    return time.monotonic() - started
