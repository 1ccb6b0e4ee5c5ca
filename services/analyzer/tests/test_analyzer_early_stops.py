"""Loops that were ended, those that were let run, and what may be said of the ones by the others."""

import pytest
from plumbline_analyzer import doubts, observations, results
from plumbline_analyzer.statistical import StatisticalAnalyzer
from plumbline_contracts.analyzer import Detection, Detector, Finding, Observation
from plumbline_contracts.generator import Loop
from plumbline_kit.folder_store import FolderStore
from scipy.stats import binomtest, ttest_ind

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


def scored(looped, ended, whole) -> list[Observation]:
    """Loops with these scores, or causes why there is none."""
    rows = [looped(n, scores={"clarity": score}) for n, score in enumerate(ended)]
    return rows + [looped(100 + n, audited=True, scores={"clarity": score}) for n, score in enumerate(whole)]


def test_scores_of_ended_loops_are_compared_with_those_of_loops_that_were_let_run(looped, observe, numbers_of) -> None:
    ended, whole = [2, 2, 3, 2, 2, 3, 2, 2], [4, 5, 4, 5, 4]
    rows = scored(looped, ended, [*whole, "unscored"])
    rows += [plain(observe, 200, scores={"clarity": 5}), looped(1, arm="dpo", scores={"clarity": 1})]
    request, found = numbers_of(rows)
    [one] = found.loop_scores
    test = ttest_ind(ended, whole, equal_var=False)
    assert (one.judge, one.aspect, one.arm) == ("rules", "clarity", "base")
    assert (one.ended_n, one.ended, one.ended_missing) == (8, 2.25, 0)
    assert (one.whole_n, one.whole, one.whole_missing) == (5, 4.4, 1)
    assert one.difference == pytest.approx(2.25 - 4.4)
    assert (one.low, one.high) == pytest.approx(tuple(test.confidence_interval(0.95)))
    said = " ".join(doubts.doubts(request, found))
    assert "in 1 of 1 comparisons; the largest: −2.15 for clarity of base (rules)." in said


@pytest.mark.parametrize(("ended", "whole"), [([1, 2], [3]), ([1, 1, 1], [1, 1]), ([1, 2], ["unscored"])])
def test_without_two_scores_of_each_and_a_difference_there_is_no_interval(looped, numbers_of, ended, whole) -> None:
    request, found = numbers_of(scored(looped, ended, whole))
    [one] = found.loop_scores
    assert (one.low, one.high) == (None, None)
    assert (one.difference is None) == (whole == ["unscored"])
    assert any("cannot be told from so few" in said for said in doubts.doubts(request, found))


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
    rows = [looped(1, scores={"clarity": 2}), looped(2, audited=True, changed=[Detector.EMPTY], scores={"clarity": 4})]
    rows.append(looped(1, arm="dpo"))
    answer = await analyzer.analyze(request_of(rows))
    page = store.path(answer.report).read_text()
    assert "Loops ended early" in page and "any but truncated" in page and "1 of 1" in page
    assert "these are different items" in page
    with_tables = sorted(path.name for path in (store.path(answer.folder) / "tables").glob("*.csv"))
    assert {"early-stops.csv", "loop-audits.csv", "loop-scores.csv"} <= set(with_tables)


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
