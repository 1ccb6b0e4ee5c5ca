"""What earlier experiments recorded: how fast, how far apart arms were; and what limits a plan would reach."""

from datetime import timedelta
from pathlib import Path

import pytest
from plumbline_contracts.analyzer import Detector, Finding
from plumbline_contracts.coordinator import ExperimentState, PhaseName, RecordedJudgment, ResponseRecord
from plumbline_contracts.experiment import ExperimentSpec, Limits
from plumbline_contracts.planning import Plan, PlannedPhase, PlannedTokens
from plumbline_coordinator.history import History, apart
from plumbline_coordinator.planning import too_low
from plumbline_coordinator.rows import Outcome
from plumbline_coordinator.settings import Settings
from plumbline_coordinator.store import Store
from plumbline_coordinator.tables import experiment, phase
from plumbline_coordinator.transactions import now
from sqlalchemy import update


def records(scores: list[float | None], loops: int) -> list[ResponseRecord]:
    """One per score; the first `loops` of them have an infinite loop."""
    judgments = [
        RecordedJudgment.model_construct(judge="judge", rubric="r", aspect="depth", score=score) for score in scores
    ]
    return [
        ResponseRecord.model_construct(
            language="en",
            item=str(number),
            response="Hello",
            judgments=[judgment],
            detections=[
                _Detection(Detector.INFINITE_LOOP, Finding.FOUND if number < loops else Finding.ABSENT),
                _Detection(Detector.EMPTY, Finding.FOUND),  # none of the critical ones
            ],
        )
        for number, judgment in enumerate(judgments)
    ]


class _Detection:
    def __init__(self, detector: Detector, finding: Finding) -> None:
        self.detector, self.finding = detector, finding


def test_paired_differences_are_pooled() -> None:
    one, other = records([1, 2, 3, 5], loops=1), records([2, 4, 3, None], loops=2)
    assert apart([one, other], "judge", "r") == (pytest.approx(1.0), 0.25)  # -1, -2, 0; the second of four
    assert apart([one, other, one], "judge", "r")[0] == pytest.approx((4 / 7) ** 0.5)  # and 1, 2, 0; and four times 0


def test_arms_that_do_not_differ_say_nothing() -> None:
    one = records([1, 2, 3], loops=1)
    assert apart([one, one], "judge", "r") == (None, None)
    assert apart([one, records([2, 3, 1], loops=1)], "another", "r") == (None, None)


def test_a_pause_does_not_count_as_work(store: Store, tmp_path: Path) -> None:
    spec = ExperimentSpec.model_validate(
        {
            "name": "test",
            "languages": ["en"],
            "dataset": {"path": "items.jsonl"},
            "models": {"tiny": {"base": "tiny-base"}},
            "arms": [{"name": "arm", "model": "tiny"}],
            "decoding": {"max_new_tokens": 8},
        }
    )
    store.create("a", spec, "text", "a.yaml", {}, "0" * 64)
    attempt = store.attempt("a")
    attempt.keep(manifest={"services": {}})
    attempt.start_phase(PhaseName.JUDGE, 2)
    attempt.save(PhaseName.JUDGE, [("judge/regular/arm/en", [Outcome("1", {}), Outcome("2", {})])])
    attempt.end_phase(PhaseName.JUDGE)
    attempt.end(ExperimentState.COMPLETED)

    def seconds(took: float, worked: float) -> float:
        with store.engine.begin() as connection:
            connection.execute(update(phase).values(started=now() - timedelta(seconds=took), finished=now()))
            connection.execute(update(experiment).values(worked_s=worked))
        rate = History(store, Settings(PLUMBLINE_ARTIFACTS_DIR=tmp_path)).rate(PhaseName.JUDGE, spec, {})
        assert rate is not None
        return rate.seconds

    assert seconds(took=3 * 86400, worked=10) == pytest.approx(10)
    assert seconds(took=5, worked=10) == pytest.approx(5, abs=1)
    assert seconds(took=5, worked=0) == pytest.approx(5, abs=1)  # as it is in databases of older versions


def test_a_plan_says_which_limits_it_would_reach() -> None:
    def planned(cached: int | None, seconds: float | None) -> Plan:
        phases = [
            PlannedPhase(phase=name, items=100, cached=cached, calls=40, seconds=seconds, basis="")
            for name in (PhaseName.GENERATE, PhaseName.DETECT, PhaseName.JUDGE)
        ]
        tokens = PlannedTokens(
            arm="arm",
            generations=100,
            prompt_tokens=800,
            completion_tokens=200,
            completion_tokens_at_most=400,
            basis="",
        )
        return Plan.model_construct(phases=phases, seconds=seconds, tokens=[tokens])

    limits = Limits(calls=79, tokens=999, hours=1)
    assert [*too_low(limits, planned(None, 7200))] == [
        "It will pause at its limit of 79 calls, as it needs about 80.",
        "It will pause at its limit of 999 tokens, as it needs about 1,000.",
        "It will pause at its limit of 1 hours, as it needs about 2.",
    ]
    assert [*too_low(limits, planned(1, None))] == ["It will pause at its limit of 79 calls, as it needs about 80."]
    assert not [*too_low(Limits(calls=80, tokens=1000, hours=2), planned(None, 7200))]
    assert not [*too_low(Limits(), planned(None, 7200))]
