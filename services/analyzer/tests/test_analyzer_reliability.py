"""The labelled cases: enough of them, apart, and as reliable as docs/detectors.md says."""

import pytest
from plumbline_contracts.analyzer import Detector

from services.analyzer.reliability import document
from services.analyzer.reliability.cases import LANGUAGES, PARTS, texts
from services.analyzer.reliability.measure import Answer, counts


@pytest.fixture(scope="module")
def answered() -> dict[tuple[str, str], list[Answer]]:
    return document.measured()


def test_the_document_is_current(answered) -> None:
    assert document.DOCUMENT.read_text("utf-8") == document.render(answered), (
        "run python -m services.analyzer.reliability"
    )


def test_the_goal_is_met_on_held_out_cases(answered) -> None:
    held_out = [answer for language in LANGUAGES for answer in answered["held_out", language]]
    for detector in Detector:
        found = counts(held_out, detector)
        shares = (found.precision.part / found.precision.whole, found.recall.part / found.recall.whole)
        assert all(share >= goal for share, goal in zip(shares, document.GOAL, strict=True)), (detector, shares)
        assert found.applicable.part == found.applicable.whole


def test_there_are_enough_cases_and_every_case_is_one_of_its_own(answered) -> None:
    every = [answer.case for group in answered.values() for answer in group]
    assert len(every) >= 1200
    keys = {(case.item.language, case.item.instruction, case.item.response, case.item.finish_reason) for case in every}
    assert len(keys) >= 0.95 * len(every)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_parts_share_no_text(language) -> None:
    mine, theirs = (_strings(texts(part, language).own) for part in PARTS)
    assert mine & theirs == set()


def _strings(value: object) -> set[str]:
    if isinstance(value, str):
        return {value} if len(value) > 40 else set()
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return set[str]().union(*map(_strings, inner))
