"""The tables: what is written twice, late, or by a process that was taken for dead, changes nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
from plumbline_contracts.coordinator import ExperimentState, PhaseName
from plumbline_contracts.experiment import ExperimentSpec, Limits
from plumbline_coordinator import database
from plumbline_coordinator.attempt import Attempt
from plumbline_coordinator.budget import exceeded
from plumbline_coordinator.lease import claim
from plumbline_coordinator.rows import Chunk, Outcome
from plumbline_coordinator.store import Store
from plumbline_coordinator.tables import metadata
from plumbline_coordinator.transactions import hours
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
def store(engine: Engine) -> Store:
    store = Store(engine)
    store.create("a", SPEC, "text", "a.yaml", {}, "0" * 64)
    store.attempt("a").start()
    return store


@pytest.fixture
def attempt(store: Store) -> Attempt:
    return store.attempt("a")


def state(store: Store, name: PhaseName = PhaseName.GENERATE) -> tuple[str, int, str | None]:
    row = store.phases("a")[name]
    return row.state, row.total, row.message


def test_the_migrations_make_the_tables(engine: Engine) -> None:
    made = {name: {column["name"] for column in inspect(engine).get_columns(name)} for name in metadata.tables}
    assert made == {name: {column.name for column in table.columns} for name, table in metadata.tables.items()}


def test_an_older_schema_is_brought_up_to_date_and_a_newer_one_is_used(tmp_path: Path) -> None:
    engine = database.connect(f"sqlite:///{tmp_path}/older.sqlite")
    database.migrate(engine, "0001")
    with engine.begin() as connection:
        connection.execute(
            text("""insert into experiment (id, name, spec, source, files, spec_sha256, resolved, state,
            created) values ('a', 'a', '', '', '{}', '', '{}', 'running', '2026-01-01 00:00:00')""")
        )
        connection.execute(text("insert into phase (experiment, name, state, total) values ('a', 'judge', 'done', 3)"))
        for item, status in (("1", "ok"), ("2", "ok"), ("3", "failed")):
            values = {"item": item, "status": status}
            columns = "(experiment, stage, unit, item, status) values ('a', 'judge', 'u', :item, :status)"
            connection.execute(text(f"insert into result {columns}"), values)
    database.migrate(engine)
    assert inspect(engine).has_table("lease")
    row = Store(engine).phases("a")["judge"]
    assert (row.done, row.failed, Store(engine).get("a").attempt) == (3, 1, 1)
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = 'of the next version'"))
    database.migrate(engine)
    Store(engine).ask()


def test_a_phase_never_goes_back(store: Store, attempt: Attempt) -> None:
    attempt.tell(PhaseName.GENERATE, "too early")
    assert state(store) == ("pending", 0, None)
    attempt.start_phase(PhaseName.GENERATE, 5)
    attempt.tell(PhaseName.GENERATE, "Waiting")
    assert state(store) == ("running", 5, "Waiting")
    started = store.phases("a")[PhaseName.GENERATE].started
    attempt.start_phase(PhaseName.GENERATE, 7)
    assert state(store) == ("running", 5, "Waiting")
    attempt.end_phase(PhaseName.GENERATE)
    finished = store.phases("a")[PhaseName.GENERATE].finished
    attempt.start_phase(PhaseName.GENERATE, 7)
    attempt.tell(PhaseName.GENERATE, "too late")
    attempt.end_phase(PhaseName.GENERATE)
    row = store.phases("a")[PhaseName.GENERATE]
    assert (state(store), row.started, row.finished) == (("done", 5, None), started, finished)


def counted(store: Store, name: PhaseName = PhaseName.GENERATE) -> tuple[int, int]:
    row = store.phases("a")[name]
    return row.done, row.failed


def test_nothing_changes_after_a_cancellation(store: Store, attempt: Attempt) -> None:
    attempt.start_phase(PhaseName.GENERATE, 5)
    attempt.save(PhaseName.GENERATE, [("zero-shot/en", [Outcome("1", {"text": "in time"})])])
    store.cancel("a")
    for late in (ExperimentState.COMPLETED, ExperimentState.FAILED):
        attempt.end(late, "late")
    attempt.end_phase(PhaseName.GENERATE)
    attempt.start_phase(PhaseName.DETECT, 5)
    attempt.keep(results={"late": True})
    attempt.complete({"late": True})
    assert attempt.plan(PhaseName.DETECT, [Chunk(0, "zero-shot/en", ("1",))]) == []
    assert attempt.save(PhaseName.GENERATE, [("zero-shot/en", [Outcome("2", {"text": "late"})])]).state == "cancelled"
    row = store.get("a")
    assert (row.state, row.cause, row.results, row.manifest) == ("cancelled", "cancelled on request", None, None)
    assert (state(store)[0], state(store, PhaseName.DETECT)[0]) == ("running", "pending")
    assert set(store.outcomes("a", "generate", "zero-shot/en", ["1", "2"])) == {"1"}
    assert counted(store) == (1, 0)


def test_an_attempt_changes_nothing_once_there_is_another(store: Store, attempt: Attempt) -> None:
    assert store.attempt_again("a", 1) == 2
    assert store.attempt_again("a", 1) is None
    assert attempt.save(PhaseName.GENERATE, [("zero-shot/en", [Outcome("1", {})])]).attempt == 2
    attempt.end(ExperimentState.FAILED, "late")
    assert not attempt.goes_on()
    assert store.attempt("a").goes_on()
    assert counted(store) == (0, 0)


def test_the_first_cut_into_chunks_stays(store: Store, attempt: Attempt) -> None:
    """A process that planned was killed; the one that goes on has another batch size."""
    first = [Chunk(0, "u", ("1", "2")), Chunk(1, "v", ("3",)), Chunk(2, "a", ("4",))]
    assert attempt.plan(PhaseName.GENERATE, first) == ["u", "v", "a"]
    attempt.plan(PhaseName.GENERATE, [Chunk(0, "u", ("1", "2", "3"))])
    attempt.plan(PhaseName.GENERATE, [Chunk(n, "u", (str(n),)) for n in range(4)])
    assert store.chunks("a", "generate", -1, 9) == first
    assert store.chunks("a", "generate", 0, 1) == first[1:2]
    assert store.planned("a", "generate") == 4
    assert attempt.plan(PhaseName.TRANSLATE, []) == []


def test_chunks_that_lack_a_result_are_told(store: Store, attempt: Attempt) -> None:
    some = [Chunk(0, "u", ("1", "2")), Chunk(1, "u", ("3", "4")), Chunk(2, "v", ("1", "2")), Chunk(3, "v", ("3",))]
    attempt.plan(PhaseName.GENERATE, some)
    attempt.plan(PhaseName.DETECT, some)
    assert store.chunks("a", "generate", -1, 9, lacking=True) == some
    attempt.save(PhaseName.GENERATE, [("u", [Outcome("1", {}), Outcome("2", None, "why"), Outcome("4", {})])])
    attempt.save(PhaseName.GENERATE, [("v", [Outcome("3", {})])])
    assert store.chunks("a", "generate", -1, 9, lacking=True) == some[1:3]
    assert store.chunks("a", "generate", 1, 1, lacking=True) == some[2:3]
    assert store.chunks("a", "detect", -1, 9, lacking=True) == some


def test_results_are_counted_once(store: Store, attempt: Attempt) -> None:
    some = [Outcome("1", {}), Outcome("2", None, "why")]
    attempt.save(PhaseName.GENERATE, [("u", some), ("v", some)])
    attempt.save(PhaseName.GENERATE, [("u", [*some, Outcome("3", None, "why")])])
    assert counted(store) == (5, 3)
    attempt.plan(PhaseName.GENERATE, [])  # counts anew
    assert counted(store) == (5, 3)


def test_the_first_manifest_stays_until_it_is_completed(store: Store, attempt: Attempt) -> None:
    attempt.keep(manifest={"weights": {}})
    attempt.keep(manifest={"late": True})
    assert store.get("a").manifest == {"weights": {}}
    attempt.complete({"weights": {"zero-shot": "0" * 64}})
    attempt.keep(manifest={"late": True})
    assert store.get("a").manifest == {"weights": {"zero-shot": "0" * 64}}


def test_the_steps_of_a_training_do_not_go_back(store: Store, attempt: Attempt) -> None:
    for step, total in ((0, 1), (7, 10), (0, 1), (5, 10)):
        attempt.set_training("sft", "job", step, total)
    assert [(row.step, row.total_steps) for row in store.trainings("a")] == [(7, 10)]
    attempt.set_training("sft", "another job", 1, 3)
    assert [(row.job, row.step, row.total_steps) for row in store.trainings("a")] == [("another job", 1, 3)]


def test_messages_of_an_ended_process_are_forgotten(store: Store, attempt: Attempt) -> None:
    attempt.start_phase(PhaseName.GENERATE, 5)
    attempt.tell(PhaseName.GENERATE, "Waiting")
    store.forget_messages()
    assert state(store) == ("running", 5, None)


def test_what_others_say_is_kept_in_letters_that_every_database_takes(store: Store, attempt: Attempt) -> None:
    """PostgreSQL takes no NUL, and a contract lets a service write one."""
    attempt.start_phase(PhaseName.GENERATE, 1)
    attempt.tell(PhaseName.GENERATE, "Waiting: no\0 idea")
    assert state(store) == ("running", 1, "Waiting: no idea")
    told = [Outcome("1", None, "no\0 idea"), Outcome("2", {"text": "a\0b"})]
    attempt.save(PhaseName.GENERATE, [("u", told)])
    kept = store.outcomes("a", "generate", "u", ["1", "2"])
    assert (kept["1"].cause, kept["2"].cause, kept["2"].body) == ("no idea", None, {"text": "a\0b"})
    attempt.end(ExperimentState.FAILED, "no\0 idea")
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
        "mine = lease.claim(sys.argv[1], None, 15); mine.acquire(); print('mine', flush=True)\n"
        "time.sleep(60)"
    )
    url = engine.url.render_as_string()
    with subprocess.Popen([sys.executable, "-c", script, url], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"mine\n"
        mine = claim(engine.url, None, 15)
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


def test_what_an_experiment_costs_is_counted_with_its_results(store: Store, attempt: Attempt) -> None:
    used = {"prompt_tokens": 20, "completion_tokens": 5}
    attempt.save(PhaseName.GENERATE, [("u/en", [Outcome("1", {}, used=used), Outcome("2", {}, used=used)])], calls=1)
    attempt.save(PhaseName.DETECT, [("u", [Outcome("1", {})])])
    attempt.pause("request", "Paused.")
    row = attempt.save(PhaseName.GENERATE, [("u/en", [Outcome("3", {}, used=used)])], calls=1)  # was under way
    assert (row.state, row.calls, row.tokens) == ("paused", 2, 75)
    assert exceeded(row, ("calls", "tokens")) is None
    assert not store.resume("a", attempt=7)  # somebody else was faster
    assert store.resume("a", Limits(calls=3))
    row = store.get("a")
    assert (row.state, row.attempt, row.limits) == ("queued", 2, {"calls": 3, "tokens": None, "hours": None})
    assert exceeded(row, ("calls",)) is None
    assert "Its limit of 3 calls is reached." in str(exceeded(row, ("calls",), under_way=1))


def test_time_counts_while_an_experiment_goes_on(store: Store, attempt: Attempt) -> None:
    with store.engine.begin() as connection:
        connection.execute(text("update experiment set since = '2026-01-01 00:00:00'"))
    before = hours(store.get("a"))
    assert before > 1
    attempt.pause("limit", "Paused.")
    paused = hours(store.get("a"))
    assert hours(store.get("a")) == paused >= before
    store.resume("a", Limits(hours=1))
    assert "Its limit of 1 hours is reached." in str(exceeded(store.get("a"), ("hours",)))


def test_a_retry_forgets_what_failed_and_nothing_else(store: Store, attempt: Attempt) -> None:
    scores = [{"unscored": {"cause": "backend_unavailable", "detail": "away"}}, {"unscored": None}]
    partly = Outcome("3", {"scores": scores})
    attempt.save(PhaseName.TRAIN, [("sft", [Outcome("sft", None, "no memory")])])
    attempt.set_training("sft", "job", 3, 9)
    attempt.save(PhaseName.GENERATE, [("u", [Outcome("1", {}), Outcome("2", None, "why")])])
    attempt.save(PhaseName.JUDGE, [("u", [Outcome("1", {"scores": []}), partly])])
    for name in (PhaseName.TRANSLATE, PhaseName.TRAIN, PhaseName.GENERATE):
        attempt.start_phase(name, 1)
        attempt.end_phase(name)
    with pytest.raises(ProblemError, match="when it has ended"):
        store.retry("a")
    attempt.keep(results={"means": []})
    attempt.end(ExperimentState.COMPLETED)
    assert store.retry("a")
    row, phases = store.get("a"), store.phases("a")
    assert (row.state, row.attempt, row.results, row.finished) == ("queued", 2, None, None)
    assert (phases["translate"].state, phases["train"].state, phases["generate"].state) == ("done", *2 * ["pending"])
    assert set(store.outcomes("a", "generate", "u", ["1", "2"])) == {"1"}
    assert set(store.outcomes("a", "judge", "u", ["1", "3"])) == {"1"}
    assert store.tries("a", "sft") == 1
    store.attempt("a").keep(results={"means": [1]})
    assert store.get("a").results == {"means": [1]}
    store.attempt("a").end(ExperimentState.COMPLETED)
    assert not store.retry("a")
