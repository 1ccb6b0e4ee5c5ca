"""The tables: what is written twice, late, or by a process that was taken for dead, changes nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
from plumbline_contracts.coordinator import ExperimentState, PhaseName
from plumbline_contracts.experiment import ExperimentSpec
from plumbline_coordinator import database
from plumbline_coordinator.lease import claim
from plumbline_coordinator.store import Chunk, Outcome, Store
from plumbline_coordinator.tables import metadata
from plumbline_kit.errors import ProblemError
from sqlalchemy import Engine, inspect, text

SPEC = ExperimentSpec.model_validate(
    {
        "name": "test",
        "languages": ["en"],
        "dataset": {"path": "items.jsonl"},
        "models": {"tiny": {"base": "tiny-base"}},
        "arms": [{"name": "zero-shot", "model": "tiny"}],
        "decoding": {"max_new_tokens": 8},
    }
)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = database.connect(f"sqlite:///{tmp_path}/test.sqlite")
    database.migrate(engine)
    return engine


@pytest.fixture
def store(engine: Engine) -> Store:
    store = Store(engine)
    store.create("a", SPEC, "text", "a.yaml", {}, "0" * 64)
    store.start("a")
    return store


def state(store: Store, name: PhaseName = PhaseName.GENERATE) -> tuple[str, int, str | None]:
    row = store.phases("a")[name]
    return row.state, row.total, row.message


def test_the_migrations_make_the_tables(engine: Engine) -> None:
    made = {name: {column["name"] for column in inspect(engine).get_columns(name)} for name in metadata.tables}
    assert made == {name: {column.name for column in table.columns} for name, table in metadata.tables.items()}


def test_an_older_schema_is_brought_up_to_date_and_a_newer_one_is_used(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("drop table lease"))
        connection.execute(text("update alembic_version set version_num = '0001'"))
    database.migrate(engine)
    assert inspect(engine).has_table("lease")
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = 'of the next version'"))
    database.migrate(engine)
    Store(engine).ask()


def test_a_phase_never_goes_back(store: Store) -> None:
    store.tell("a", PhaseName.GENERATE, "too early")
    assert state(store) == ("pending", 0, None)
    store.start_phase("a", PhaseName.GENERATE, 5)
    store.tell("a", PhaseName.GENERATE, "Waiting")
    assert state(store) == ("running", 5, "Waiting")
    started = store.phases("a")[PhaseName.GENERATE].started
    store.start_phase("a", PhaseName.GENERATE, 7)
    assert state(store) == ("running", 5, "Waiting")
    store.end_phase("a", PhaseName.GENERATE)
    finished = store.phases("a")[PhaseName.GENERATE].finished
    store.start_phase("a", PhaseName.GENERATE, 7)
    store.tell("a", PhaseName.GENERATE, "too late")
    store.end_phase("a", PhaseName.GENERATE)
    row = store.phases("a")[PhaseName.GENERATE]
    assert (state(store), row.started, row.finished) == (("done", 5, None), started, finished)


def test_nothing_but_results_changes_after_the_end(store: Store) -> None:
    store.start_phase("a", PhaseName.GENERATE, 5)
    store.end("a", ExperimentState.CANCELLED, "cancelled on request")
    for late in (ExperimentState.COMPLETED, ExperimentState.FAILED):
        store.end("a", late, "late")
    store.end_phase("a", PhaseName.GENERATE)
    store.start_phase("a", PhaseName.DETECT, 5)
    store.keep("a", results={"late": True})
    store.complete("a", {"late": True})
    row = store.get("a")
    assert (row.state, row.cause, row.results, row.manifest) == ("cancelled", "cancelled on request", None, None)
    assert (state(store)[0], state(store, PhaseName.DETECT)[0]) == ("running", "pending")
    store.save("a", "generate", "zero-shot/en", [Outcome("1", {"text": "paid for"})])
    assert store.counts("a") == {("generate", "ok"): 1}


def test_the_first_cut_into_chunks_stays(store: Store) -> None:
    """A process that planned was killed; the one that goes on has another batch size."""
    first = [Chunk(0, "u", ("1", "2")), Chunk(1, "u", ("3",))]
    assert store.plan("a", PhaseName.GENERATE, first) == first
    assert store.plan("a", PhaseName.GENERATE, [Chunk(0, "u", ("1", "2", "3"))]) == first
    assert store.plan("a", PhaseName.GENERATE, [Chunk(n, "u", (str(n),)) for n in range(3)]) == first
    assert state(store) == ("running", 3, None)
    assert store.plan("a", PhaseName.TRANSLATE, []) == []


def test_the_first_manifest_stays_until_it_is_completed(store: Store) -> None:
    store.keep("a", manifest={"weights": {}})
    store.keep("a", manifest={"late": True})
    assert store.get("a").manifest == {"weights": {}}
    store.complete("a", {"weights": {"zero-shot": "0" * 64}})
    store.keep("a", manifest={"late": True})
    assert store.get("a").manifest == {"weights": {"zero-shot": "0" * 64}}


def test_the_steps_of_a_training_do_not_go_back(store: Store) -> None:
    for step, total in ((0, 1), (7, 10), (0, 1), (5, 10)):
        store.set_training("a", "sft", "job", step, total)
    assert [(row.step, row.total_steps) for row in store.trainings("a")] == [(7, 10)]
    store.set_training("a", "sft", "another job", 1, 3)
    assert [(row.job, row.step, row.total_steps) for row in store.trainings("a")] == [("another job", 1, 3)]


def test_messages_of_an_ended_process_are_forgotten(store: Store) -> None:
    store.start_phase("a", PhaseName.GENERATE, 5)
    store.tell("a", PhaseName.GENERATE, "Waiting")
    store.forget_messages()
    assert state(store) == ("running", 5, None)


def test_what_others_say_is_kept_in_letters_that_every_database_takes(store: Store) -> None:
    """PostgreSQL takes no NUL, and a contract lets a service write one."""
    store.start_phase("a", PhaseName.GENERATE, 1)
    store.tell("a", PhaseName.GENERATE, "Waiting: no\0 idea")
    assert state(store) == ("running", 1, "Waiting: no idea")
    store.save("a", "generate", "u", [Outcome("1", None, "no\0 idea"), Outcome("2", {"text": "a\0b"})])
    kept = store.results("a", "generate")
    assert (kept["u", "1"].cause, kept["u", "2"].cause, kept["u", "2"].body) == ("no idea", None, {"text": "a\0b"})
    store.end("a", ExperimentState.FAILED, "no\0 idea")
    assert store.get("a").cause == "no idea"


def test_a_database_that_is_away_is_a_problem_that_may_pass(store: Store, engine: Engine) -> None:
    engine.dispose()
    Path(engine.url.database or "").write_bytes(b"")
    with pytest.raises(ProblemError) as caught:
        store.get("a")
    assert (caught.value.status, caught.value.kind) == (503, "no-database")


def test_a_database_file_is_for_one_process(engine: Engine) -> None:
    """Also after kill -9: the lock ends with its process."""
    script = (
        "import sys, time; from plumbline_coordinator import database, lease\n"
        "mine = lease.claim(database.connect(sys.argv[1]), None, 15); mine.acquire(); print('mine', flush=True)\n"
        "time.sleep(60)"
    )
    url = engine.url.render_as_string()
    with subprocess.Popen([sys.executable, "-c", script, url], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"mine\n"
        mine = claim(engine, None, 15)
        with pytest.raises(ProblemError) as caught:
            mine.acquire()
        assert caught.value.kind == "executor-taken"
        assert "SQLite is for one process; several need PostgreSQL." in caught.value.detail
        other.kill()
    mine.acquire()
    assert mine.holder == "embedded"
    with mine.living() as living:
        assert living == {"embedded"}
    mine.release()
