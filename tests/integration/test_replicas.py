"""Several coordinators on one PostgreSQL: whatever becomes of them, an experiment ends as an undisturbed one."""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from plumbline_coordinator.database import connect, migrate
from plumbline_coordinator.lease import claim
from plumbline_coordinator.turns import Turns

from tests.chaos import System, endure
from tests.integration.test_killed_services import asked, outcome
from tests.postgresql import PostgreSQL, binary, query
from tests.replicas import CHUNKS, LEASE_S, NEXT_VERSION, UNDER_WAY, Replicas, end, restart, seconds_until
from tests.stack import wait_for


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    if binary("initdb") is None:
        pytest.skip("no PostgreSQL server here; Debian: apt-get install postgresql")
    with PostgreSQL() as server:
        replicas = Replicas(tmp_path_factory.mktemp("replicas"), server)
        with replicas.a, replicas.b:
            yield replicas


@pytest.fixture
def replicas(running: Replicas) -> Replicas:
    for replica in (running.a, running.b):
        restart(replica)
    return running


@pytest.fixture(scope="module")
def undisturbed(running: Replicas) -> dict[str, Any]:
    running.a.coordinator.submit("undisturbed", running.spec).raise_for_status()
    assert running.b.coordinator.finish("undisturbed")["state"] == "completed"
    return outcome(running.b.coordinator, "undisturbed")


def ends_as_undisturbed(replicas: Replicas, id: str, undisturbed: dict[str, Any]) -> None:
    replica = next(one for one in (replicas.a, replicas.b) if one.processes["coordinator"].poll() is None)
    ended = replica.coordinator.finish(id, 180)
    assert (ended["state"], ended["cause"]) == ("completed", None)
    assert {phase["state"] for phase in ended["phases"]} == {"done"}
    assert outcome(replica.coordinator, id) == undisturbed
    assert replicas.rows(id) == replicas.rows("undisturbed")


def test_the_work_is_shared_and_cancelled_through_any_replica(replicas: Replicas, undisturbed: dict[str, Any]) -> None:
    """An experiment runs in whichever replica takes it first."""
    statement = "select distinct split_part(executor_id, '-', 1) from dbos.workflow_status"
    for number in range(20):
        if {name for (name,) in query(replicas.database, statement)} == {"a", "b"}:
            break
        replicas.a.coordinator.submit(f"shared-{number}", replicas.spec).raise_for_status()
        replicas.a.coordinator.finish(f"shared-{number}")
    else:
        pytest.fail("one replica does everything")
    replicas.submit("cancelled")
    owner, other = replicas.owner("cancelled")
    other.coordinator.http.post("/v1/experiments/cancelled/cancel").raise_for_status()
    kept = replicas.rows("cancelled")
    assert owner.coordinator.get("cancelled")["state"] == "cancelled"
    wait_for(lambda: not replicas.under_way(), 60, "the replicas to stop")
    assert replicas.rows("cancelled") == kept != replicas.rows("undisturbed")
    assert owner.coordinator.http.get("/v1/experiments/cancelled/results").status_code == 409


def test_a_turn_at_a_service_in_another_replica_is_waited_for_while_that_lives(running: Replicas) -> None:
    engine = connect(running.server.create("turns"))
    migrate(engine)
    first, second = claim(engine.url, "first", LEASE_S), claim(engine.url, "second", LEASE_S)
    first.acquire()
    second.acquire()
    seen = list[bool]()

    async def take() -> None:
        async with Turns(engine, second).at("generator"):
            seen.append(first_lives)

    async def run() -> None:
        nonlocal first_lives
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            turn = Turns(engine, first).at("generator")
            await turn.__aenter__()  # and never leaves
            tasks.create_task(take())
            await asyncio.sleep(2 * LEASE_S)
            first_lives = False
            await asyncio.to_thread(first.release)

    first_lives = True
    asyncio.run(run())
    second.release()
    engine.dispose()
    assert seen == [False]


def test_a_killed_replica_is_taken_over(replicas: Replicas, undisturbed: dict[str, Any]) -> None:
    """Long before its lease ends, since the server knows that its sessions have."""
    before = asked(replicas.a)
    with replicas.leases_of(600):
        replicas.submit("killed")
        owner, _ = replicas.owner("killed")
        name = owner.environment["COORDINATOR_EXECUTOR"]
        with replicas.batches_held():
            owner.kill("coordinator")
            took = seconds_until(lambda: name not in replicas.under_way(), 120, "the takeover")
        print(f"taken over {took:.1f} s after kill -9")  # by itself: nothing is started again
        ends_as_undisturbed(replicas, "killed", undisturbed)
        assert CHUNKS <= asked(replicas.a) - before <= CHUNKS + UNDER_WAY
        owner.start("coordinator")  # under the same name, which the lease of the dead process still holds
        owner.wait_ready("coordinator")


def test_a_replica_that_is_ended_hands_over_at_once(replicas: Replicas, undisturbed: dict[str, Any]) -> None:
    assert replicas.b.coordinator.http.get("/info").json()["version"] == NEXT_VERSION
    before = asked(replicas.a)
    replicas.submit("ended")
    owner, _ = replicas.owner("ended")
    name = owner.environment["COORDINATOR_EXECUTOR"]
    with replicas.batches_held():
        took_to_end = end(owner)
        released = query(replicas.database, "select count(*) from lease where holder like %s", f"{name}-%")
        took = seconds_until(lambda: name not in replicas.under_way(), 120, "the takeover")
    print(f"ended in {took_to_end:.1f} s after SIGTERM, taken over {took:.1f} s later")
    assert released == [(0,)]  # so that nobody waits for its end
    ends_as_undisturbed(replicas, "ended", undisturbed)
    assert CHUNKS <= asked(replicas.a) - before <= CHUNKS + UNDER_WAY


def test_an_executor_id_that_is_in_use_is_refused(replicas: Replicas) -> None:
    second = replicas.another("second", COORDINATOR_EXECUTOR="a")
    second.home.mkdir()
    second.start("coordinator")
    assert second.processes["coordinator"].wait(60) == 1
    assert "The executor 'a' is another coordinator that runs now." in second.log("coordinator")
    first = replicas.a.processes["coordinator"]
    assert first.poll() is None
    with replicas.a.stopped("coordinator"):  # one that was taken for dead, and replaced, ends when it wakes
        second.start("coordinator")
        second.wait_ready("coordinator")
    first.wait(30)
    assert "another process runs as the executor a" in replicas.a.log("coordinator")
    end(second)


def test_work_from_before_there_were_leases_is_taken_over(replicas: Replicas, undisturbed: dict[str, Any]) -> None:
    """An earlier version ran everything as the executor `embedded`, which has no lease."""
    replicas.submit("before")
    owner, _ = replicas.owner("before")
    name = owner.environment["COORDINATOR_EXECUTOR"]
    owner.kill("coordinator")
    rename = "update dbos.workflow_status set executor_id = 'embedded' where executor_id like %s"
    query(replicas.database, f"{rename} and status = 'PENDING'", f"{name}-%")
    query(replicas.database, "delete from lease where executor = %s", name)
    wait_for(lambda: "embedded" not in replicas.under_way(), 120, "the takeover")
    ends_as_undisturbed(replicas, "before", undisturbed)


def test_a_replica_that_was_taken_for_dead_does_no_harm(replicas: Replicas, undisturbed: dict[str, Any]) -> None:
    replicas.submit("stopped")
    owner, other = replicas.owner("stopped")
    name = owner.environment["COORDINATOR_EXECUTOR"]
    with ExitStack() as stopped:
        with replicas.batches_held():
            stopped.enter_context(owner.stopped("coordinator"))
            wait_for(lambda: name not in replicas.under_way(), 60, "the takeover")
        wait_for(lambda: other.coordinator.phase("stopped", "detect")["done"] > 0, 60, "the other one to go on")
    ends_as_undisturbed(replicas, "stopped", undisturbed)
    leases = "select count(*) from lease where holder like %s and expires > clock_timestamp()"
    wait_for(lambda: query(replicas.database, leases, f"{name}-%") == [(1,)], 60, "its lease to be renewed")
    assert other.coordinator.get("stopped")["finished"] == replicas.a.coordinator.get("stopped")["finished"]


def test_a_cancelled_experiment_stays_so_when_its_stopped_replica_wakes(
    replicas: Replicas, undisturbed: dict[str, Any]
) -> None:
    replicas.submit("woken")
    owner, other = replicas.owner("woken")
    with owner.stopped("coordinator"):
        other.coordinator.http.post("/v1/experiments/woken/cancel").raise_for_status()
        before = other.coordinator.get("woken")
        time.sleep(1)
    wait_for(lambda: not replicas.under_way(), 60, "the replicas to stop")
    after = other.coordinator.get("woken")
    assert after["state"] == "cancelled"
    assert [one["state"] for one in after["phases"]] == [one["state"] for one in before["phases"]]


def test_who_stops_while_it_writes_keeps_no_locks(replicas: Replicas, undisturbed: dict[str, Any]) -> None:
    """Rows are sent in a pipeline, in and after which the server's own limit for sleepers does not count."""
    replicas.submit("locked")
    owner, other = replicas.owner("locked")
    writes = "select pid from pg_stat_activity where query like 'INSERT INTO result%%' and xact_start is not null"
    with psycopg.connect(replicas.database) as connection, ExitStack() as stopped:
        connection.execute("lock table result in share mode")
        wait_for(lambda: bool(query(replicas.database, f"{writes} and wait_event_type = 'Lock'")), 60, "a writer")
        stopped.enter_context(owner.stopped("coordinator"))
        connection.commit()
        wait_for(lambda: bool(query(replicas.database, f"{writes} and wait_event = 'ClientRead'")), 60, "its sleep")
        wait_for(lambda: other.coordinator.phase("locked", "detect")["done"] > 0, 60, "the other one to go on")
    ends_as_undisturbed(replicas, "locked", undisturbed)


def test_the_database_stops_in_the_middle(replicas: Replicas, undisturbed: dict[str, Any]) -> None:
    before = asked(replicas.a)
    replicas.submit("outage")
    logged = [(replica, len(replica.log("coordinator"))) for replica in (replicas.a, replicas.b)]
    replicas.server.stop()
    refused = replicas.a.coordinator.http.get("/v1/experiments/outage")
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:plumbline:problem:no-database")
    time.sleep(4)  # all leases run out; nobody is taken for dead for that
    replicas.server.start()
    for replica in (replicas.a, replicas.b):
        replica.wait_ready("coordinator")
    ends_as_undisturbed(replicas, "outage", undisturbed)
    assert asked(replicas.a) - before == CHUNKS
    for replica, earlier in logged:
        since = replica.log("coordinator")[earlier:]
        assert "the lease ran out" in since
        assert "taking over" not in since


def test_who_loses_its_connections_is_not_taken_for_dead(replicas: Replicas, undisturbed: dict[str, Any]) -> None:
    before = asked(replicas.a)
    logged = [(replica, len(replica.log("coordinator"))) for replica in (replicas.a, replicas.b)]
    replicas.submit("cut-off")
    sessions = "from pg_stat_activity where application_name like 'plumbline lease%%'"

    def ended() -> bool:
        query(replicas.database, f"select pg_terminate_backend(pid) {sessions}")
        return bool(replicas.a.coordinator.get("cut-off")["state"] == "completed")

    wait_for(ended, 120, "the end")
    ends_as_undisturbed(replicas, "cut-off", undisturbed)
    assert asked(replicas.a) - before == CHUNKS
    for replica, earlier in logged:
        assert "taking over" not in replica.log("coordinator")[earlier:]


def test_anything_at_any_moment(replicas: Replicas, undisturbed: dict[str, Any]) -> None:
    """Also a coordinator that is frozen, or ended in order, and a database that stops."""

    def freeze(draw: random.Random) -> str:
        with draw.choice([replicas.a, replicas.b]).stopped("coordinator"):
            time.sleep(draw.uniform(0, 2 * LEASE_S))
        return "coordinator"

    def stop(draw: random.Random) -> str:
        replica = draw.choice([replicas.a, replicas.b])
        end(replica)
        replica.start("coordinator")
        return "coordinator"

    def lose_database(draw: random.Random) -> str:
        replicas.server.stop()
        time.sleep(draw.uniform(0, 3))
        replicas.server.start()
        return "database"

    faults = [freeze, stop, lose_database]
    both = [replicas.a, replicas.b]
    endure(System(replicas.a, both, replicas.spec, CHUNKS, UNDER_WAY, faults), undisturbed, outcome)
