import random
import re

from plumbline_analyzer import findings, results
from plumbline_analyzer import observations as reading
from plumbline_analyzer.doubts import doubts
from plumbline_analyzer.wording import percent
from plumbline_contracts.analyzer import Detection, Detector, Finding


def said(request, observations) -> list[str]:
    request = request.model_copy(update={"observations": observations})
    numbers = results.numbers(reading.read(request, None))
    return [result.sentence for result in findings.results(request, numbers)] + doubts(request, numbers)


def noisy(observe, arm: str, mean: float, n: int = 60, **more) -> list:
    dice = random.Random(arm)
    scores = [min(5, max(1, mean + dice.uniform(-1, 1))) for _ in range(n)]
    return [observe(i, arm=arm, scores={"overlap": score}, **more) for i, score in enumerate(scores)]


def test_a_difference_is_said_with_its_interval(observe, request_of) -> None:
    observations = noisy(observe, "base", 2, language="fr") + noisy(observe, "dpo", 3, language="fr")
    sentence = said(request_of(observations, languages=["fr"]), observations)[0]
    pattern = r"dpo scores (\d\.\d\d) \((\d\.\d\d) to (\d\.\d\d)\) higher on overlap than base in French\."
    middle, low, high = map(float, re.fullmatch(pattern, sentence).groups())
    assert 0 < low < middle < high


def test_a_lower_score_is_said_and_that_dpo_does_not_help(observe, request_of) -> None:
    observations = noisy(observe, "base", 3) + noisy(observe, "dpo", 2)
    sentence = said(request_of(observations), observations)[0]
    assert " lower on overlap than base in English; no help from DPO is visible here." in sentence


def test_no_difference_is_not_called_equality(observe, request_of) -> None:
    observations = noisy(observe, "base", 3) + noisy(observe, "dpo", 3)
    sentence = said(request_of(observations), observations)[0]
    assert sentence == (
        "dpo against base in English: no difference that this sample can show on overlap;"
        " no help from DPO is visible here."
    )


def test_a_difference_that_is_the_same_on_every_item_is_a_difference(observe, request_of) -> None:
    observations = [
        observe(item, arm=arm, scores={"overlap": score})
        for arm, score in (("base", 1), ("dpo", 5))
        for item in range(60)
    ]
    assert said(request_of(observations), observations)[0] == (
        "dpo scores 4.00 (4.00 to 4.00) higher on overlap than base in English."
    )


def test_a_rate_that_changes_otherwise_in_another_language_is_no_gain(observe, request_of) -> None:
    """Loops vanish in English, and there were none in French."""
    observations = []
    for language, arm in (("en", "base"), ("en", "dpo"), ("fr", "base"), ("fr", "dpo")):
        finding = Finding.FOUND if (language, arm) == ("en", "base") else Finding.ABSENT
        loop = Detection(detector=Detector.INFINITE_LOOP, finding=finding, evidence=None, start=None, end=None)
        observations += [
            observe(item, arm=arm, language=language).model_copy(update={"detections": [loop]}) for item in range(30)
        ]
    assert (
        "The rate of infinite loops of dpo less that of base is 100 percentage points (100 to 100) higher in French"
        " than in English." in said(request_of(observations, languages=["en", "fr"]), observations)
    )


def test_a_share_that_is_nothing_but_for_the_last_digit_is_nothing() -> None:
    assert [percent(share) for share in (0.0, 1e-17, 4e-4, 0.05, 1 - 1e-16, 1.0)] == [
        *("0%", "0%", "0.0%", "5.0%", "100%", "100%")
    ]


def test_no_claim_on_a_handful_of_items(observe, request_of) -> None:
    observations = noisy(observe, "base", 1, 5) + noisy(observe, "dpo", 5, 5)
    request = request_of(observations)
    assert "no difference that this sample can show" in said(request, observations)[0]
    assert any(
        sentence.startswith("Small sample: some numbers rest on 5 items") for sentence in said(request, observations)
    )


def test_a_claim_takes_six_items_that_changed(observe, request_of) -> None:
    for changed, word in ((5, "no difference"), (6, "higher on overlap")):
        observations = [observe(i, scores={"overlap": 1}) for i in range(30)]
        observations += [observe(i, arm="dpo", scores={"overlap": 5 if i < changed else 1}) for i in range(30)]
        assert word in said(request_of(observations), observations)[0]


def test_training_is_not_blamed_for_another_model(observe, request_of) -> None:
    observations = noisy(observe, "base", 3) + noisy(observe, "dpo", 2)
    request = request_of(observations)
    arms = [request.arms[0], request.arms[1].model_copy(update={"model": "other"})]
    assert "no help" not in said(request.model_copy(update={"arms": arms}), observations)[0]


def test_an_arm_without_responses_is_not_free_of_errors(observe, request_of) -> None:
    observations = [observe(i) for i in range(9)]
    observations += [observe(i, arm="dpo", response=None, missing="timeout") for i in range(9)]
    assert "No infinite loops in English, in base; dpo had no response to look at." in said(
        request_of(observations), observations
    )


def test_the_judge_is_named_where_there_are_several(observe, request_of) -> None:
    observations = noisy(observe, "base", 2) + noisy(observe, "dpo", 3)
    request = request_of(observations, judges=["rules", "panel"])
    assert "(judge rules)." in said(request, observations)[0]


def test_fewest_loops(observe, request_of) -> None:
    loop = [Detector.INFINITE_LOOP]
    observations = [observe(i, found=loop if i < 30 else ()) for i in range(60)]
    observations += [observe(i, arm="dpo", found=loop if i < 1 else ()) for i in range(60)]
    sentences = said(request_of(observations), observations)
    assert "Fewest infinite loops in English: dpo (1 of 60, 1.7%); most: base (30 of 60, 50%)." in sentences
    assert "No responses with unintended code in English, in any arm." in sentences


def test_error_rates_that_cannot_be_told_apart(observe, request_of) -> None:
    observations = [observe(i, found=[Detector.INFINITE_LOOP] if i < 2 else ()) for i in range(40)]
    observations += [observe(i, arm="dpo") for i in range(40)]
    sentence = next(s for s in said(request_of(observations), observations) if s.startswith("Fewest infinite loops"))
    assert sentence.endswith("Their intervals overlap.")


def test_coverage_that_differs_is_a_warning(observe, request_of) -> None:
    lost = [observe(i, arm="dpo", response=None, missing="timeout") for i in range(40, 60)]
    observations = noisy(observe, "base", 3) + noisy(observe, "dpo", 3, 40) + lost
    sentence = next(s for s in said(request_of(observations), observations) if s.startswith("Coverage differs"))
    assert "67% of the scores are there for dpo, 100% for base" in sentence


def test_model_free_scores_are_labelled(observe, request_of) -> None:
    observations = noisy(observe, "base", 3)
    request = request_of(observations, arms=["base"])
    assert said(request, observations)[-1] == findings.MODEL_FREE
    with_model = request.judges[0].model_copy(update={"model": "a-judge"})
    assert findings.MODEL_FREE not in said(request.model_copy(update={"judges": [with_model]}), observations)


def test_nothing_scored(observe, request_of) -> None:
    observations = [observe(1)]
    assert "No response was scored, so there is no mean to compare." in said(request_of(observations), observations)
