"""kill -9 of anything at random moments: experiments end as undisturbed ones, and nothing is bought twice.

PLUMBLINE_CHAOS_KILLS says how many times (`make chaos`: 100), PLUMBLINE_CHAOS_SEED by which random numbers.
"""

import os
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from plumbline_coordinator import database
from sqlalchemy import text

from tests.stack import ENDED, Coordinator, Stack, wait_for

KILLS = int(os.environ.get("PLUMBLINE_CHAOS_KILLS", "4"))
Fault = Callable[[random.Random], str]  # it says what it disturbed


@dataclass
class System:
    """`services` has all services, `replicas` are the stacks with a coordinator, `outages` is what else may fail.

    An experiment needs `batches` of the generator, of which `under_way` at a time.
    """

    services: Stack
    replicas: Sequence[Stack]
    spec: Path
    batches: int
    under_way: int
    outages: Sequence[Fault] = ()
    disturbed: list[str] = field(default_factory=list)

    def ready(self) -> Coordinator:
        """Every coordinator answers; this is one."""
        for replica in self.replicas:
            wait_for(partial(_ready, replica), 120, "a coordinator to be ready")
        return self.replicas[0].coordinator

    def state(self, id: str) -> str | None:
        """Null while nobody can say."""
        for replica in self.replicas:
            try:
                answer = replica.coordinator.http.get(f"/v1/experiments/{id}")
            except httpx.TransportError:
                continue
            if answer.is_success:
                return str(answer.json()["state"])
        return None

    def disturb(self, draw: random.Random) -> None:
        """One thing, at random: half of the time a coordinator, otherwise a service or what else may fail."""
        if not self.disturbed or draw.random() < 0.5:
            stack, name = draw.choice(self.replicas), "coordinator"
        elif self.outages and draw.random() < 0.5:
            self.disturbed.append(draw.choice(self.outages)(draw))
            return
        else:
            others = [service for service in self.services.services if service != "coordinator"]
            stack, name = self.services, draw.choice(others)
        stack.kill(name)
        stack.start(name)
        self.disturbed.append(name)

    def run(self, id: str, draw: random.Random, most: int) -> None:
        """An experiment from its start to its end, with up to `most` disturbances on the way."""
        self.ready().submit(id, self.spec).raise_for_status()
        for _ in range(most):
            if draw.random() < 0.5:  # the other times it may hit what is just starting
                self.ready()
            time.sleep(draw.uniform(0, 2.5))
            if self.state(id) in ENDED:
                break
            self.disturb(draw)
        ended = self.ready().finish(id)
        assert (ended["state"], ended["cause"]) == ("completed", None)

    def rows(self, id: str) -> dict[str, tuple[int, int]]:
        """Stage -> (results, different keys of results)."""
        engine = database.connect(self.replicas[0].environment["COORDINATOR_DATABASE_URL"])
        query = text("select stage, unit, item from result where experiment = :id")
        keys = defaultdict[str, list[tuple[str, str]]](list)
        with engine.connect() as connection:
            for stage, unit, item in connection.execute(query, {"id": id}):
                keys[stage].append((unit, item))
        engine.dispose()
        return {stage: (len(found), len(set(found))) for stage, found in keys.items()}

    def answered(self) -> int:
        """Batches that the generator has finished so far. Its log outlives it, its counters do not."""
        return len(re.findall(r'"POST [^"]*generations 200"', self.services.log("generator")))


def endure(system: System, undisturbed: dict[str, Any], outcome: Callable[[Coordinator, str], dict[str, Any]]) -> None:
    """`undisturbed` is the outcome of the experiment of that name in this system."""
    seed = int(os.environ.get("PLUMBLINE_CHAOS_SEED", random.SystemRandom().randrange(2**32)))
    print(f"seed {seed}")
    draw, rows, before, experiments = random.Random(seed), system.rows("undisturbed"), system.answered(), 0
    while len(system.disturbed) < KILLS:
        id = f"disturbed-{experiments}"
        system.run(id, draw, most=KILLS - len(system.disturbed))
        experiments += 1
        differs = _differences(outcome(system.ready(), id), undisturbed)
        assert not differs, f"{id}, seed {seed}, {system.disturbed}: {differs[:5]}"
        assert system.rows(id) == rows, f"{id}, seed {seed}"
    assert all(results == different for results, different in rows.values())
    counts = Counter(system.disturbed)
    repeated = system.answered() - before - experiments * system.batches
    print(f"{dict(counts)} in {experiments} experiments of {system.batches} batches; {repeated} batches done again")
    assert 0 <= repeated <= system.under_way * (counts["coordinator"] + counts["database"]), f"seed {seed}"


def _differences(found: Any, expected: Any, place: str = "") -> list[str]:
    """Where two JSON documents differ, and what stands in both."""
    if isinstance(found, dict) and isinstance(expected, dict) and found.keys() == expected.keys():
        return [one for key in found for one in _differences(found[key], expected[key], f"{place}.{key}")]
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        pairs = enumerate(zip(found, expected, strict=True))
        return [one for at, (mine, other) in pairs for one in _differences(mine, other, f"{place}[{at}]")]
    return [] if found == expected else [f"{place}: {found!r} instead of {expected!r}"[:500]]


def _ready(replica: Stack) -> bool:
    if replica.processes["coordinator"].poll() is not None:  # it ends where it finds no database when it starts,
        replica.start("coordinator")  # and is started again, as whatever looks after processes would
    try:
        return replica.coordinator.http.get("/readyz").is_success
    except httpx.TransportError:
        return False
