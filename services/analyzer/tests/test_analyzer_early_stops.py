"""Loops that were ended, those that were let run, and what may be said of the ones by the others."""

import pytest
from plumbline_analyzer import doubts, observations, results
from plumbline_analyzer.statistical import StatisticalAnalyzer
from plumbline_contracts.analyzer import Detection, Detector, Finding, Observation
from plumbline_contracts.generator import Loop
from plumbline_kit.folder_store import FolderStore
from scipy.stats import binomtest

SAVED = 40


@pytest.fixture
def looped(observe):
    """A response that became a loop: ended, or, `audited`, let run to `finish_reason`. `changed` detectors fire on the
    whole text only."""

    def make(item, audited=False, finish_reason="length", changed=(), **more) -> Observation:
        loop = Loop(onset=10, period=5, met_at=130, tokens_saved=0 if audited else SAVED)
        given = {"loop": loop, "audited": audited, "completion_tokens": 60}
        if not audited:
            return observe(item, **more).model_copy(update=given | {"finish_reason": "loop"})
        whole = observe(item, found=changed, **more)
        if_ended = observe(item, **more).detections
        return whole.model_copy(update=given | {"finish_reason": finish_reason, "detections_if_ended": if_ended})

    return make


@pytest.fixture
def numbers_of(request_of, tmp_path):
    def make(rows, **more):
        request = request_of(rows, **more)
        return request, results.numbers(observations.read(request, FolderStore(tmp_path / "store")))

    return make


def plain(observe, item, **more) -> Observation:
    return observe(item, **more).model_copy(update={"finish_reason": "eos", "completion_tokens": 20})


def test_what_is_saved_is_a_share_of_what_would_have_been_written(looped, observe, numbers_of) -> None:
    rows = [looped(1), looped(2), plain(observe, 3), plain(observe, 1, arm="dpo", response=None)]
    _, found = numbers_of([*rows, looped(4, audited=True)])
    base, dpo = found.early_stops
    assert (base.arm, base.n, base.ended, base.audited, base.audited_loops, base.ran_on) == ("base", 4, 2, 1, 1, 1)
    assert (base.tokens, base.tokens_saved, base.saved) == (3 * 60 + 20, 80, pytest.approx(80 / 280))
    assert (dpo.arm, dpo.n, dpo.saved) == ("dpo", 0, None)


def test_a_verdict_that_ending_would_have_changed_is_counted_with_an_exact_bound(looped, observe, numbers_of) -> None:
    rows = [looped(n) for n in range(10)] + [looped(100 + n, audited=True) for n in range(19)]
    rows += [looped(200, audited=True, finish_reason="eos", changed=[Detector.WRONG_LANGUAGE, Detector.REFUSAL])]
    request, found = numbers_of(rows)
    bound = binomtest(1, 20, alternative="less").proportion_ci(0.95, method="exact").high
    by_detector = {one.detector: one for one in found.loop_audits}
    for detector in (None, Detector.WRONG_LANGUAGE, Detector.REFUSAL):
        assert (by_detector[detector].n, by_detector[detector].changed) == (20, 1)
        assert by_detector[detector].at_most == pytest.approx(bound)
    assert by_detector[Detector.INFINITE_LOOP].changed == 0
    assert by_detector[Detector.INFINITE_LOOP].at_most == pytest.approx(1 - 0.05 ** (1 / 20))
    assert (found.early_stops[0].changed, found.early_stops[0].compared, found.early_stops[0].ran_on) == (1, 20, 19)
    said = next(one for one in doubts.doubts(request, found) if "ended early" in one)
    assert "10 of 30 responses" in said and "Of 20 loops that were let run" in said and "finds on 1 (" in said


def test_truncation_is_no_verdict_that_ending_changes(looped, numbers_of) -> None:
    _, found = numbers_of([looped(1), looped(2, audited=True, changed=[Detector.TRUNCATED])])
    by_detector = {one.detector: one.changed for one in found.loop_audits}
    assert (by_detector[Detector.TRUNCATED], by_detector[None]) == (1, 0)


def test_without_an_audited_loop_nothing_is_claimed(looped, observe, numbers_of) -> None:
    audited = plain(observe, 2).model_copy(update={"audited": True})
    request, found = numbers_of([looped(1), audited])
    assert found.loop_audits == [] and found.early_stops[0].audited == 1
    assert any("what that changed is not known" in one for one in doubts.doubts(request, found))


def test_where_no_loop_is_ended_nothing_is_said_of_it(observe, numbers_of) -> None:
    request, found = numbers_of([plain(observe, 1)])
    assert found.early_stops == found.loop_audits == []
    assert not any("ended early" in one for one in doubts.doubts(request, found))


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_report_shows_both(looped, request_of, identifier, tmp_path, anyio_backend) -> None:
    store = FolderStore(tmp_path)
    analyzer = StatisticalAnalyzer(identifier, store, workers=1)
    rows = [looped(1), looped(2, audited=True, changed=[Detector.EMPTY]), looped(1, arm="dpo")]
    answer = await analyzer.analyze(request_of(rows))
    page = store.path(answer.report).read_text()
    assert "Loops ended early" in page and "any but truncated" in page and "1 of 1" in page
    with_tables = sorted(path.name for path in (store.path(answer.folder) / "tables").glob("*.csv"))
    assert {"early-stops.csv", "loop-audits.csv"} <= set(with_tables)


def test_a_finding_of_one_text_alone_is_not_compared(looped, numbers_of) -> None:
    """Detections of before there was an audit have no pair."""
    alone = looped(1, audited=True).model_copy(update={"detections_if_ended": []})
    _, found = numbers_of([alone])
    assert (found.early_stops[0].audited_loops, found.early_stops[0].compared, found.loop_audits) == (1, 0, [])


def test_what_a_detector_did_not_say_of_both_is_not_compared(looped, numbers_of) -> None:
    one = looped(1, audited=True, changed=[Detector.EMPTY])
    absent = Detection(detector=Detector.REFUSAL, finding=Finding.ABSENT, evidence=None, start=None, end=None)
    _, found = numbers_of([one.model_copy(update={"detections_if_ended": [absent]})])
    assert found.early_stops[0].changed == 0
