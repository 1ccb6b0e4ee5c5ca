"""Means, rates and comparisons of small tables that one can check by hand."""

import numpy as np
import pytest
from plumbline_analyzer import observations, results
from plumbline_contracts.analyzer import (
    AnalysisSettings,
    ComparedPair,
    Conclusion,
    Detection,
    Detector,
    Finding,
    JudgeRole,
)
from plumbline_kit.folder_store import FolderStore

HIGHER, LOWER, SAME, REFUSED = Conclusion.HIGHER, Conclusion.LOWER, Conclusion.NO_DIFFERENCE, Conclusion.REFUSED


@pytest.fixture
def numbers(request_of, tmp_path):
    def find(given, **more) -> results.Numbers:
        more = {"settings": AnalysisSettings(resamples=200)} | more
        return results.numbers(observations.read(request_of(given, **more), FolderStore(tmp_path)))

    return find


def the(rows, **wanted):
    """The only row like this."""
    (found,) = [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]
    return found


def test_every_missing_score_is_counted_by_its_cause(observe, numbers) -> None:
    found = numbers(
        [
            observe(1, scores={"depth": 2}),
            observe(2, scores={"depth": 4}),
            observe(3, scores={"depth": "unparsable_reply"}),
            observe(4, response=None, missing="backend_unavailable"),
            observe(5),
            observe(6, arm="dpo", scores={"depth": 5}),
        ]
    )
    mean = the(found.means, arm="base")
    assert (mean.n, mean.mean) == (2, 3.0)
    assert mean.missing == {"backend_unavailable": 1, "not_observed": 1, "not_scored": 1, "unparsable_reply": 1}
    assert (mean.worst, mean.best) == (pytest.approx((6 + 4 * 1) / 6), pytest.approx((6 + 4 * 5) / 6))
    assert the(found.means, arm="dpo").missing == {"not_observed": 5}


def test_a_score_under_a_lost_response_does_not_count(observe, numbers) -> None:
    found = numbers([observe(1, response=None, missing="cancelled", scores={"depth": 5}), observe(1, arm="dpo")])
    assert the(found.means, arm="base").missing == {"cancelled": 1}
    assert the(found.means, arm="base").mean is None


def test_items_of_a_category_without_rubric_are_not_missing(observe, numbers) -> None:
    found = numbers(
        [
            observe(1, scores={"depth": 3}),
            observe(2, category="safety", scores={"safety": 5}),
            observe(3, category="safety", response=None, missing="timeout"),
            observe(4, category="other"),
        ],
        arms=["base"],
    )
    depth, safety = the(found.means, aspect="depth"), the(found.means, aspect="safety")
    assert (depth.n, depth.missing) == (1, {})
    assert (safety.n, safety.missing) == (1, {"timeout": 1})


def test_languages_stay_apart(observe, numbers) -> None:
    given = [observe(1, scores={"depth": 5}), observe(1, language="fr", scores={"depth": 1})]
    found = numbers(given, languages=["en", "fr", "es"], arms=["base"])
    assert {(mean.language, mean.mean) for mean in found.means} == {("en", 5), ("fr", 1), ("es", None)}


def test_differences_are_paired(observe, numbers) -> None:
    base = [observe(i, scores={"depth": score}) for i, score in enumerate([1, 2, 3, 4])]
    dpo = [observe(i, arm="dpo", scores={"depth": score}) for i, score in enumerate([2, 2, "refused", 5])]
    extra = [observe(9, arm="dpo", scores={"depth": 5})]
    found = the(numbers(base + dpo + extra, settings=AnalysisSettings(coverage_gap=1)).differences, arm="dpo")
    assert (found.baseline, found.n, found.difference) == ("base", 3, pytest.approx((1 + 0 + 1) / 3))
    assert (found.higher, found.lower, found.p) == (2, 0, pytest.approx(2 / 2**2))
    assert found.low <= found.difference <= found.high
    assert found.missing == {"not_observed": 1, "refused": 1}
    # Item 2: the arm as 1 or 5 against 3; item 9: 5 against a baseline of 5 or 1.
    assert (found.worst, found.best) == (pytest.approx((1 + 0 - 2 + 1 + 0) / 5), pytest.approx((1 + 0 + 2 + 1 + 4) / 5))


def scored(observe, arm: str, scores, language: str = "en", **more) -> list:
    return [observe(i, arm=arm, language=language, scores={"depth": score}, **more) for i, score in enumerate(scores)]


def test_a_comparison_of_unequal_coverage_is_refused_unless_asked_for(observe, numbers) -> None:
    given = scored(observe, "base", [2] * 20) + scored(observe, "dpo", [4] * 10 + ["timeout"] * 10)
    found = the(numbers(given).differences, arm="dpo")
    assert (found.conclusion, found.difference, found.p, found.p_holm) == (REFUSED, None, None, None)
    assert found.refused == "coverage differs: 50.0% of the values are there for dpo, 100.0% for base"
    assert (found.worst, found.best) == (0.5, 2.5)
    asked = the(numbers(given, settings=AnalysisSettings(coverage_gap=1)).differences, arm="dpo")
    assert (asked.conclusion, asked.difference) == (HIGHER, 2)


def test_what_another_view_says_is_beside_every_conclusion(observe, numbers) -> None:
    lost = ["timeout"]
    given = scored(observe, "base", [3] * 27 + lost) + scored(observe, "dpo", [4] * 7 + [3] * 20 + lost)
    checks = {check.against: check for check in the(numbers(given).differences, arm="dpo").checks}
    assert set(checks) == {"missing at worst", "missing at best", "ordinal model"}
    assert checks["missing at worst"].difference == pytest.approx((7 - 4) / 28)
    assert (checks["missing at worst"].conclusion, checks["missing at worst"].flips) == (SAME, True)
    assert (checks["missing at best"].conclusion, checks["missing at best"].flips) == (HIGHER, False)


def test_conclusions_are_tried_without_doubtful_translations(observe, numbers) -> None:
    given = scored(observe, "base", [3] * 20)
    given += scored(observe, "dpo", [4] * 8 + [3] * 12)
    flagged = [one.model_copy(update={"flags": ["untranslated"] if int(one.item) < 4 else []}) for one in given]
    (check,) = [c for c in the(numbers(flagged).differences, arm="dpo").checks if "flagged" in c.against]
    assert (check.n, check.conclusion, check.flips) == (16, SAME, True)


def judged(observe, first, second) -> list:
    """The same responses under two judges."""
    given = []
    for arm in ("base", "dpo"):
        for i, (mine, theirs) in enumerate(zip(first[arm], second[arm], strict=True)):
            one = observe(i, arm=arm, scores={"depth": mine}, judge="rules")
            other = observe(i, arm=arm, scores={"depth": theirs}, judge="shadow")
            given.append(one.model_copy(update={"scores": one.scores + other.scores}))
    return given


def test_a_shadow_says_which_conclusions_flip(observe, request_of, numbers) -> None:
    first = {"base": [2] * 20, "dpo": [3] * 20}
    second = {"base": [3, 4] * 10, "dpo": [3, 3] * 10}
    given = judged(observe, first, second)
    request = request_of(given, judges=["rules", "shadow"])
    roles = [request.judges[0], request.judges[1].model_copy(update={"role": JudgeRole.SHADOW})]
    found = numbers(given, judges=roles)
    mine = the(found.differences, judge="rules")
    (check,) = [check for check in mine.checks if check.against == "judge shadow"]
    assert (mine.conclusion, check.conclusion, check.flips) == (HIGHER, LOWER, True)
    assert not [c for c in the(found.differences, judge="shadow").checks if c.against.startswith("judge")]
    agreement = the(found.agreements, judge="rules", other="shadow")
    assert (agreement.n, agreement.exact) == (40, pytest.approx(0.5))
    ranking = the(found.arm_rankings, judge="rules")
    assert (ranking.kendall, ranking.best, ranking.best_by_other) == (-1, "dpo", "base")


def test_over_all_languages_an_item_is_one_cluster(observe, numbers) -> None:
    given = [
        one
        for language, gain in (("en", 1), ("fr", 2))
        for arm, scores in (("base", [2] * 10), ("dpo", [2 + gain] * 10))
        for one in scored(observe, arm, scores, language)
    ]
    found = numbers(given, languages=["en", "fr"])
    overall = the(found.differences, language=None)
    assert (overall.n, overall.difference, overall.higher) == (10, 1.5, 10)
    assert overall.p == pytest.approx(2 / 2**10)
    assert overall.family == 3


def test_a_gain_that_differs_between_languages(observe, numbers) -> None:
    dice = np.random.default_rng(0)
    gains = {"en": dice.integers(1, 3, 40), "es": dice.integers(0, 2, 40)}
    given = [
        one
        for language, gain in gains.items()
        for arm, scores in (("base", [2] * 40), ("dpo", 2 + gain))
        for one in scored(observe, arm, [float(score) for score in scores], language)
    ]
    found = the(numbers(given, languages=["en", "es"]).interactions, judge="rules")
    assert (found.language, found.reference, found.n) == ("es", "en", 40)
    assert found.difference == pytest.approx(np.mean(gains["es"] - gains["en"]))
    assert (found.conclusion, found.low <= found.difference <= found.high) == (LOWER, True)


def with_loop(observe, item, finding, arm="base"):
    detection = Detection(detector=Detector.INFINITE_LOOP, finding=finding, evidence=None, start=None, end=None)
    return observe(item, arm=arm).model_copy(update={"detections": [detection]})


def test_error_rates(observe, numbers) -> None:
    given = [
        *(with_loop(observe, item, Finding.ABSENT) for item in (2, 3, 4)),
        with_loop(observe, 1, Finding.FOUND),
        with_loop(observe, 5, Finding.UNDECIDED),
        with_loop(observe, 6, Finding.NOT_APPLICABLE),
        observe(7, detected=False),
        observe(8, response=None, missing="timeout"),
        observe(9, response=None),
    ]
    found = numbers(given, arms=["base"])
    rate = the(found.error_rates, detector=Detector.INFINITE_LOOP)
    assert (rate.n, rate.found, rate.rate, rate.undecided, rate.not_applicable) == (4, 1, 0.25, 1, 1)
    assert rate.missing == {"not_detected": 1, "timeout": 1, "unknown": 1}
    assert rate.n + rate.undecided + rate.not_applicable + sum(rate.missing.values()) == len(given)
    assert rate.low < 0.25 < rate.high
    empty = the(found.error_rates, detector=Detector.EMPTY)
    assert (empty.n, empty.rate, empty.low, empty.high) == (0, None, None, None)


def test_errors_are_compared_in_pairs(observe, numbers) -> None:
    given = [with_loop(observe, i, Finding.FOUND if i < 12 else Finding.ABSENT) for i in range(40)]
    given += [with_loop(observe, i, Finding.FOUND if i < 1 else Finding.ABSENT, arm="dpo") for i in range(40)]
    found = the(numbers(given).error_differences, detector=Detector.INFINITE_LOOP)
    assert (found.higher, found.lower, found.difference) == (0, 11, -11 / 40)
    assert found.p == pytest.approx(2 / 2**11)
    assert (found.conclusion, found.family) == (LOWER, 1)
    assert found.low < found.difference < found.high < 0


def test_the_first_arm_of_a_model_is_the_baseline_of_that_model(observe, request_of, numbers) -> None:
    names = ["a", "b", "b-dpo", "a-dpo"]
    given = [observe(1, arm=arm, scores={"depth": 3}) for arm in names]
    arms = [arm.model_copy(update={"model": arm.name[0]}) for arm in request_of(given, arms=names).arms]
    found = numbers(given, arms=arms)
    assert {one.arm: one.baseline for one in found.differences} == {"b": "a", "b-dpo": "b", "a-dpo": "a"}


def test_what_just_eval_counted_is_counted_where_asked_for(observe, numbers) -> None:
    given = scored(observe, "base", [2, 4, "not_applicable", "unparsable_reply"])
    plain = the(numbers(given, arms=["base"]).means)
    compat = the(numbers(given, arms=["base"], settings=AnalysisSettings(compat="just-eval-2024")).means)
    assert (plain.mean, plain.n, plain.missing) == (3, 2, {"not_applicable": 1, "unparsable_reply": 1})
    assert (compat.mean, compat.n, compat.missing) == (pytest.approx(11 / 3), 3, {"unparsable_reply": 1})


def pair(item, verdict, first="base", second="dpo", missing=None) -> ComparedPair:
    return ComparedPair(
        item=str(item), language="en", judge="rules", rubric="r", arm_a=first, arm_b=second, verdict=verdict,
        missing=missing,
    )  # fmt: skip


def test_win_rates_and_strengths(observe, numbers) -> None:
    given = [observe(i, arm=arm, response="x" * (5 + i)) for i in range(10) for arm in ("base", "dpo")]
    pairs = [pair(i, "b") for i in range(4)] + [pair(4, "a", "dpo", "base"), pair(5, "tie"), pair(6, "a")]
    pairs += [pair(7, "inconsistent"), pair(8, "unscored", missing="timeout")]
    found = numbers(given, comparisons=pairs)
    rate = the(found.win_rates, arm="dpo")
    assert (rate.baseline, rate.n, rate.wins, rate.ties, rate.losses) == ("base", 7, 5, 1, 1)
    assert (rate.inconsistent, rate.missing) == (1, {"timeout": 1})
    assert rate.rate.value == pytest.approx(5.5 / 7)
    assert (rate.worst, rate.best) == (pytest.approx(5.5 / 9), pytest.approx(7.5 / 9))
    weak, strong = found.strengths
    assert strong.strength.value == pytest.approx(np.log(5.5 / 1.5) / 2)
    assert weak.strength.value == pytest.approx(-strong.strength.value)
