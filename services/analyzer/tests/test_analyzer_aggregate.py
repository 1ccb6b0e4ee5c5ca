import pytest
from plumbline_analyzer.aggregate import Aggregate
from plumbline_contracts.analyzer import Detection, Detector, Finding


def aggregate(request_of, observations, **more) -> Aggregate:
    return Aggregate(request_of(observations, **more), observations)


def mean_of(subject: Aggregate, arm: str, aspect: str, language: str = "en"):
    return next(m for m in subject.means() if (m.arm, m.aspect, m.language) == (arm, aspect, language))


def rate_of(subject: Aggregate, arm: str, detector: Detector):
    return next(r for r in subject.error_rates() if (r.arm, r.detector) == (arm, detector))


def test_every_missing_score_is_counted_by_its_cause(observe, request_of) -> None:
    subject = aggregate(
        request_of,
        [
            observe(1, scores={"depth": 2}),
            observe(2, scores={"depth": 4}),
            observe(3, scores={"depth": "unparsable_reply"}),
            observe(4, response=None, missing="backend_unavailable"),
            observe(5),
            observe(6, arm="dpo", scores={"depth": 5}),
        ],
    )
    mean = mean_of(subject, "base", "depth")
    assert (mean.n, mean.mean) == (2, 3.0)
    assert mean.missing == {"backend_unavailable": 1, "not_observed": 1, "not_scored": 1, "unparsable_reply": 1}
    assert (mean.worst, mean.best) == (pytest.approx((6 + 4 * 1) / 6), pytest.approx((6 + 4 * 5) / 6))
    assert mean_of(subject, "dpo", "depth").missing == {"not_observed": 5}


def test_a_score_under_a_lost_response_does_not_count(observe, request_of) -> None:
    subject = aggregate(request_of, [observe(1, response=None, missing="cancelled", scores={"depth": 5})])
    assert mean_of(subject, "base", "depth").missing == {"cancelled": 1}
    assert mean_of(subject, "base", "depth").mean is None


def test_items_of_a_category_without_rubric_are_not_missing(observe, request_of) -> None:
    subject = aggregate(
        request_of,
        [
            observe(1, scores={"depth": 3}),
            observe(2, category="safety", scores={"safety": 5}),
            observe(3, category="safety", response=None, missing="timeout"),
            observe(4, category="other"),
        ],
        arms=["base"],
    )
    depth, safety = mean_of(subject, "base", "depth"), mean_of(subject, "base", "safety")
    assert (depth.n, depth.missing) == (1, {})
    assert (safety.n, safety.missing) == (1, {"timeout": 1})


def test_an_arm_that_lost_everything_is_still_there(observe, request_of) -> None:
    lost = [observe(i, arm="dpo", response=None, missing="training_failed") for i in range(3)]
    subject = aggregate(request_of, [observe(i, scores={"depth": 3}) for i in range(3)] + lost)
    mean = mean_of(subject, "dpo", "depth")
    assert (mean.n, mean.mean, mean.low, mean.missing) == (0, None, None, {"training_failed": 3})
    assert (mean.worst, mean.best) == (1.0, 5.0)
    difference = next(iter(subject.differences())).difference
    assert (difference.n, difference.difference, difference.low) == (0, None, None)


def test_languages_stay_apart(observe, request_of) -> None:
    observations = [observe(1, scores={"depth": 5}), observe(1, language="fr", scores={"depth": 1})]
    subject = aggregate(request_of, observations, languages=["en", "fr", "es"], arms=["base"])
    assert [mean.mean for mean in subject.means()] == [5, 1, None]
    assert {mean.language for mean in subject.means()} == {"en", "fr", "es"}


def test_differences_are_paired(observe, request_of) -> None:
    base = [observe(i, scores={"depth": score}) for i, score in enumerate([1, 2, 3, 4])]
    dpo = [observe(i, arm="dpo", scores={"depth": score}) for i, score in enumerate([2, 2, "refused", 5])]
    extra = [observe(9, arm="dpo", scores={"depth": 5})]
    difference, changed = next(iter(aggregate(request_of, base + dpo + extra).differences()))
    assert changed == 2
    assert (difference.arm, difference.baseline, difference.n) == ("dpo", "base", 3)
    assert difference.difference == pytest.approx((1 + 0 + 1) / 3)
    assert difference.low <= difference.difference <= difference.high


def test_the_first_arm_is_the_baseline_of_all_others(observe, request_of) -> None:
    observations = [observe(i, arm=arm, scores={"depth": 3}) for arm in ("c", "a", "b") for i in range(2)]
    subject = aggregate(request_of, observations, arms=["c", "a", "b"])
    assert [(d.arm, d.baseline) for d, _ in subject.differences()] == [("a", "c"), ("b", "c")]


def test_the_first_arm_of_a_model_is_the_baseline_of_that_model(observe, request_of) -> None:
    request = request_of([observe(1, scores={"depth": 3})], arms=["a", "b", "b-dpo", "a-dpo"])
    arms = [arm.model_copy(update={"model": arm.name[0]}) for arm in request.arms]
    subject = Aggregate(request.model_copy(update={"arms": arms}), request.observations)
    assert subject.baselines == {"b": "a", "b-dpo": "b", "a-dpo": "a"}


def test_error_rates(observe, request_of) -> None:
    def with_loop(item, finding) -> object:
        detection = Detection(detector=Detector.INFINITE_LOOP, finding=finding, evidence=None, start=None, end=None)
        return observe(item).model_copy(update={"detections": [detection]})

    observations = [
        with_loop(1, Finding.FOUND),
        with_loop(2, Finding.ABSENT),
        with_loop(3, Finding.ABSENT),
        with_loop(4, Finding.ABSENT),
        with_loop(5, Finding.UNDECIDED),
        with_loop(6, Finding.NOT_APPLICABLE),
        observe(7, detected=False),
        observe(8, response=None, missing="timeout"),
        observe(9, response=None),
    ]
    rate = rate_of(aggregate(request_of, observations, arms=["base"]), "base", Detector.INFINITE_LOOP)
    assert (rate.n, rate.found, rate.rate, rate.undecided, rate.not_applicable) == (4, 1, 0.25, 1, 1)
    assert rate.missing == {"not_detected": 1, "timeout": 1, "unknown": 1}
    assert rate.n + rate.undecided + rate.not_applicable + sum(rate.missing.values()) == len(observations)
    assert rate.low < 0.25 < rate.high


def test_a_rate_of_nothing_is_no_number(observe, request_of) -> None:
    rate = rate_of(aggregate(request_of, [observe(1, detected=False)], arms=["base"]), "base", Detector.EMPTY)
    assert (rate.n, rate.rate, rate.low, rate.high) == (0, None, None, None)
