"""How far arms are apart in what earlier experiments recorded."""

import pytest
from plumbline_contracts.analyzer import Detector, Finding
from plumbline_contracts.coordinator import RecordedJudgment, ResponseRecord
from plumbline_coordinator.history import apart


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
