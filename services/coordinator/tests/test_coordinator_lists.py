"""Pages of experiments and responses: filters, and cursors that stay right while experiments are added."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from plumbline_contracts.analyzer import Detection, Detector, Finding
from plumbline_contracts.coordinator import (
    ExperimentQuery,
    ExperimentState,
    Missing,
    PhaseName,
    PhaseState,
    RecordedJudgment,
    ResponseQuery,
    ResponseRecord,
)
from plumbline_coordinator import listing
from plumbline_coordinator.store import Store
from plumbline_coordinator.tables import experiment, phase
from plumbline_kit import cursors
from plumbline_kit.errors import ProblemError

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def add(store: Store, id: str, minutes: int, state: ExperimentState = ExperimentState.RUNNING) -> None:
    row = {"id": id, "name": f"Study 50% of {id}", "spec": "", "source": "", "files": {}, "spec_sha256": "0" * 64}
    row |= {"resolved": {}, "state": state, "created": BEGIN + timedelta(minutes=minutes)}
    phases = [{"experiment": id, "name": name, "state": PhaseState.PENDING, "total": 0} for name in PhaseName]
    with store.engine.begin() as connection:
        connection.execute(experiment.insert(), row)
        connection.execute(phase.insert(), phases)


def ids(store: Store, **query: Any) -> list[str]:
    return [one.id for one in listing.experiments(store, ExperimentQuery(**query)).experiments]


def test_a_cursor_stays_right_while_experiments_are_added(store: Store) -> None:
    for number in range(5):
        add(store, f"e{number}", minutes=number // 2)  # some at the same time
    first = listing.experiments(store, ExperimentQuery(limit=2))
    add(store, "newest", minutes=100)
    second = listing.experiments(store, ExperimentQuery(limit=2, after=first.next))
    third = listing.experiments(store, ExperimentQuery(limit=2, after=second.next))
    pages = [[one.id for one in page.experiments] for page in (first, second, third)]
    assert pages == [["e4", "e3"], ["e2", "e1"], ["e0"]]
    assert third.next is None


def test_experiments_are_found_by_state_name_and_time(store: Store) -> None:
    add(store, "old", 0, ExperimentState.COMPLETED)
    add(store, "new", 60, ExperimentState.FAILED)
    add(store, "newer", 120)
    assert ids(store, state=[ExperimentState.COMPLETED, ExperimentState.FAILED]) == ["new", "old"]
    assert ids(store, name="STUDY 50% OF NEW") == ["newer", "new"]
    assert ids(store, name="50_") == []  # no pattern
    assert ids(store, created_from=BEGIN + timedelta(minutes=60)) == ["newer", "new"]
    hour_east = (BEGIN + timedelta(minutes=60)).astimezone(tz=None)
    assert ids(store, created_before=hour_east) == ["old"]


@pytest.mark.parametrize("cursor", ["", "x", "7", cursors.encode(["yesterday", "e"]), cursors.encode([7]), "Ww", "é"])
def test_what_is_no_cursor_of_this_list_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(ProblemError) as caught:
        listing.experiments(store, ExperimentQuery(after=cursor))
    assert (caught.value.status, caught.value.kind) == (422, "invalid-request")


def record(score: float | None = 3.0, missing: str | None = None, finding: Finding = Finding.ABSENT) -> ResponseRecord:
    unknown = {"stated": None, "rationale": None, "confidence": None, "repaired": False}
    judgment = {"rubric": "r", "missing": None if score else "unscored", **unknown}
    return ResponseRecord(
        arm="a", language="en", item="7", category="regular", instruction="Hi", missing=missing, finish_reason="eos",
        flags=[], response=None if missing else "Hello", raw_response=None, prompt_tokens=1, completion_tokens=1,
        loop=None, audited=False, detections_if_ended=[],
        detections=[
            Detection(detector=Detector.EMPTY, finding=Finding.ABSENT, evidence=None, start=None, end=None),
            Detection(detector=Detector.INFINITE_LOOP, finding=finding, evidence=None, start=None, end=None),
        ],
        judgments=[
            RecordedJudgment(judge="one", aspect="depth", score=score, **judgment),
            RecordedJudgment(judge="two", aspect="clarity", score=5.0, **judgment),
        ],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("query", "one", "expected"),
    [
        ({}, record(), True),
        ({"category": ["safety"]}, record(), False),
        ({"item": ["7", "8"]}, record(), True),
        ({"detector": ["infinite_loop"]}, record(finding=Finding.FOUND), True),
        ({"detector": ["empty"]}, record(finding=Finding.FOUND), False),
        ({"finding": "undecided"}, record(finding=Finding.UNDECIDED), True),
        ({"missing": Missing.RESPONSE}, record(missing="no answer"), True),
        ({"missing": Missing.SCORE}, record(score=None), True),
        ({"missing": Missing.NOTHING}, record(score=None), False),
        ({"min_score": 2, "max_score": 4}, record(), True),
        ({"min_score": 3.5, "max_score": 4.5}, record(), False),  # 3 and 5 are around it, none is within
        ({"judge": ["one"], "min_score": 4}, record(), False),
        ({"aspect": ["clarity"], "min_score": 4}, record(), True),
        ({"max_score": 5, "judge": ["one"]}, record(score=None), False),
    ],
)
def test_a_response_fits_a_query(query: dict[str, Any], one: ResponseRecord, expected: bool) -> None:
    assert listing.fits(one, ResponseQuery(**query)) is expected
