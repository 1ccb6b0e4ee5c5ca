"""A judge of known confusion: the true mean comes back, with intervals that cover it; and what is said in words."""

import os

import numpy as np
import pytest
from plumbline_analyzer import observations
from plumbline_analyzer.calibration import calibrate, corrected_means
from plumbline_analyzer.calibration.correction import VALUES, counted, misclassification, rectified
from plumbline_analyzer.calibration.estimates import label
from plumbline_contracts.analysis import AnalysisRequest, AnalysisSettings, ArmLabel, JudgeLabel
from plumbline_contracts.calibrating import CalibrationRequest, GoldPair, GoldScore
from plumbline_contracts.calibration import ConfusionCounts, JudgeCalibration
from plumbline_kit.errors import ProblemError

RUNS = int(os.environ.get("PLUMBLINE_CALIBRATION_RUNS", "30"))  # 1000 for a figure; a minute each
SETTINGS = AnalysisSettings(resamples=500)
GOOD = [[0.8, 0.15, 0.05, 0, 0], [0.15, 0.65, 0.15, 0.05, 0], [0.05, 0.15, 0.6, 0.15, 0.05]]
GOOD += [[0, 0.05, 0.2, 0.6, 0.15], [0, 0, 0.05, 0.25, 0.7]]
LENIENT = [[0.4, 0.3, 0.2, 0.1, 0], [0.1, 0.3, 0.3, 0.2, 0.1], [0, 0.1, 0.3, 0.4, 0.2]]
LENIENT += [[0, 0, 0.1, 0.4, 0.5], [0, 0, 0, 0.2, 0.8]]
BLIND = [[0.2] * 5] * 5
WEAK = [[0.7 * 0.2 + 0.3 * odds for odds in row] for row in LENIENT]
TRUTHS = {"low": [0.6, 0.2, 0.1, 0.05, 0.05], "high": [0, 0, 0, 0.2, 0.8], "one label": [0, 0, 1, 0, 0]}
TRUTH = TRUTHS["low"]
RULES = JudgeLabel(name="rules", implementation="rules", model=None, description="Rules.")


def judged(rng, labels, confusion):
    """A score for every label, at the odds of its row."""
    return [float(rng.choice(5, p=confusion[label - 1]) + 1) for label in labels]


def gold_counts(rng, confusion, each=50, truth=None):
    labels = [1 + at % 5 for at in range(5 * each)] if truth is None else list(rng.choice(5, 5 * each, p=truth) + 1)
    return counted(judged(rng, labels, confusion), [int(one) for one in labels])


@pytest.mark.parametrize("truth", TRUTHS)
@pytest.mark.parametrize("confusion", [GOOD, LENIENT, WEAK, BLIND], ids=["good", "lenient", "weak", "blind"])
def test_the_true_mean_is_covered_though_gold_is_distributed_otherwise(confusion, truth):
    rng, true, covered = np.random.default_rng(5), float(VALUES @ TRUTHS[truth]), 0
    for _ in range(RUNS):
        scores = judged(rng, rng.choice(5, 300, p=TRUTHS[truth]) + 1, confusion)
        found = misclassification(scores, gold_counts(rng, confusion), SETTINGS)
        covered += found.low <= true <= found.high
    assert covered / RUNS >= 0.93


def test_a_lenient_judge_is_corrected_to_the_true_mean():
    rng, true = np.random.default_rng(6), float(VALUES @ TRUTH)
    scores = [judged(rng, rng.choice(5, 300, p=TRUTH) + 1, LENIENT) for _ in range(RUNS)]
    found = [misclassification(one, gold_counts(rng, LENIENT), SETTINGS) for one in scores]
    assert np.mean(scores) - true > 0.7, "uncorrected, this judge is far off"
    assert abs(np.mean([one.value for one in found]) - true) < 0.2
    assert np.mean([one.high - one.low for one in found]) < 1.5


def test_a_blind_judge_gets_the_whole_scale_and_no_value():
    rng = np.random.default_rng(1)
    found = misclassification(judged(rng, [3] * 300, BLIND), gold_counts(rng, BLIND, each=500), SETTINGS)
    assert found.value is None and found.high - found.low > 3.9


def test_rectified_covers_where_gold_is_like_the_experiment_and_is_narrower():
    rng, true, covered = np.random.default_rng(2), float(VALUES @ TRUTH), 0
    for _ in range(10 * RUNS):
        scores = judged(rng, rng.choice(5, 300, p=TRUTH) + 1, LENIENT)
        found = rectified(scores, gold_counts(rng, LENIENT, truth=TRUTH), SETTINGS)
        covered += found.low <= true <= found.high
    assert covered / (10 * RUNS) >= 0.9
    assert found.high - found.low < 0.5


def test_two_labels_are_the_known_formula():
    """theta = (p + q0 - 1) / (q0 + q1 - 1), arXiv 2511.21140: q0 = 0.9 right of the low label, q1 = 0.7 of the high."""
    rows = [[9000, 0, 0, 0, 1000], [0, 9000, 0, 0, 0], [0, 0, 9000, 0, 0], [0, 0, 0, 9000, 0], [3000, 0, 0, 0, 7000]]
    counts = ConfusionCounts(confusion=rows, n=47000, residual_mean=0, residual_variance=0)
    found = misclassification([5.0] * 40_000 + [1.0] * 60_000, counts, SETTINGS)
    theta = (0.4 + 0.9 - 1) / (0.9 + 0.7 - 1)
    assert found.value == pytest.approx(1 + 4 * theta, abs=0.02)


def test_nothing_is_corrected_where_a_label_was_never_seen():
    counts = counted([1.0, 5.0], [1, 5])
    assert misclassification([1.0, 5.0, 5.0], counts, SETTINGS).value is None
    assert label(3.5) == 4 and label(2.4999) == 2 and label(1.0) == 1


def request(scores, **more):
    asked = {
        "judge": RULES,
        "rubric": "rules",
        "rubric_version": "1",
        "aspect": "mean",
        "gold": "made",
        "settings": SETTINGS,
    }
    return CalibrationRequest(**asked, scores=scores, **more)


def gold_scores(confusion, language="en", seed=3, **more):
    rng, labels = np.random.default_rng(seed), [1 + at % 5 for at in range(250)]
    given = zip(range(250), labels, judged(rng, labels, confusion), strict=True)
    return [GoldScore(item=str(at), language=language, gold=gold, scores=[score], **more) for at, gold, score in given]


def test_a_good_judge_may_and_a_blind_one_may_not():
    good = calibrate(request(gold_scores(GOOD)))
    assert any(line.startswith("Compare mean scores of arms in en") for line in good.may)
    blind = calibrate(request(gold_scores(BLIND)))
    assert not any("arms in en" in line for line in blind.may)
    assert any(line.startswith("Rank arms in en") for line in blind.may_not)
    assert good.languages[0].kappa.low > 0.6 > blind.languages[0].kappa.high
    assert blind.may_not[0] in blind.report.replace("&#39;", "'") and "<script" not in blind.report


def test_what_was_judged_on_criteria_of_their_own_corrects_no_experiment():
    found = calibrate(request(gold_scores(GOOD)).model_copy(update={"rubric": None}))
    assert any(line.startswith("Score responses in en on a criterion for each: its weighted") for line in found.may)
    assert not any("corrected by this calibration" in line for line in found.may)
    assert any(line.startswith("Correct an experiment's means") for line in found.may_not)
    assert found.calibration.rubric is None and "every item on a criterion of its own (1)" in found.report


def test_a_single_item_has_values_without_intervals():
    found = calibrate(request([GoldScore(item="1", language="en", gold=1, scores=[1.0])]))
    assert "1.00" in found.report or "100%" in found.report
    assert any(line.startswith("Anything in en") for line in found.may_not)


def test_consistent_verdicts_must_also_be_right():
    scores = gold_scores(GOOD)
    for verdict, allowed in (("a", True), ("b", False)):  # gold prefers a
        found = calibrate(request(scores, pairs=[GoldPair(language="en", verdict=verdict, swapped=verdict)] * 100))
        told = found.may if allowed else found.may_not
        assert any(line.startswith("Compare two responses in en") for line in told)


def test_the_same_items_in_two_languages_show_a_language_bias():
    english = gold_scores(GOOD)
    harsher = [one.model_copy(update={"language": "es", "scores": [max(1.0, one.scores[0] - 1)]}) for one in english]
    found = calibrate(request(english + harsher))
    assert [one.language for one in found.languages] == ["en", "es", "all"]
    (swap,) = found.language_swaps
    assert (swap.first, swap.second, swap.n) == ("en", "es", 250)
    assert swap.difference.high < -0.5
    assert any(line.startswith("Compare scores in en with scores in es") for line in found.may_not)
    assert set(found.calibration.languages) == {"en", "es"}


def test_repeats_padding_pairs_and_what_is_missing_are_counted():
    scores = [
        GoldScore(item="1", language="en", gold=5, scores=[4.0, 4.0, 3.0], padded=5.0),
        GoldScore(item="2", language="en", gold=1, scores=[1.0, 1.0, None], padded=2.0),
        GoldScore(item="3", language="en", gold=2, scores=[None], missing="truncated_reply"),
    ]
    verdicts = [("a", "a"), ("b", "b"), ("a", "b"), ("inconsistent", "inconsistent"), ("tie", "tie"), ("unscored", "a")]
    pairs = [GoldPair(language="en", verdict=first, swapped=second) for first, second in verdicts]
    found = calibrate(request(scores, pairs=pairs))
    (one,), (swap,) = found.languages, found.swaps
    assert (one.n, one.missing) == (2, {"truncated_reply": 1})
    assert (one.exact.value, one.within_one.value, one.bias.value) == (0.5, 1.0, -0.5)
    assert (one.stability.value, one.padding.value) == (0.5, 1.0)
    assert one.confusion[4] == [0, 0, 0, 1, 0] and one.recall == [1.0, None, None, None, 0.0]
    assert (swap.n, swap.consistent.value, swap.right.value, swap.unscored) == (5, 0.6, 0.5, 1)
    assert any("1 of 3 items unscored" in line for line in found.may_not)


def analysis(observe, calibration, judge=RULES):
    seen = [observe(arm="a", item=str(at), scores={"mean": 1 + at % 5}) for at in range(60)]
    arms = [ArmLabel(name="a", model="m", weights="base", prompting="zero-shot")]
    names = {score.judge for one in seen for score in one.scores} or {"rules"}
    given = JudgeCalibration(judge=names.pop(), calibration=calibration)
    return AnalysisRequest(
        experiment="e",
        title="E",
        arms=arms,
        languages=["en"],
        judges=[judge.model_copy(update={"name": given.judge})],
        observations=seen,
        settings=SETTINGS,
        calibrations=[given],
    )


def test_an_analysis_corrects_the_means_of_that_judge_and_refuses_those_of_another(observe):
    calibration = calibrate(request(gold_scores(LENIENT))).calibration
    (found,) = corrected_means(observations.read(analysis(observe, calibration), None))
    assert (found.arm, found.language, found.n, found.gold, found.mean) == ("a", "en", 60, 250, 3.0)
    assert found.low < found.corrected < found.high and found.corrected < found.mean
    other = RULES.model_copy(update={"model": "another"})
    with pytest.raises(ProblemError, match="The calibration is of rules"):
        corrected_means(observations.read(analysis(observe, calibration, other), None))
