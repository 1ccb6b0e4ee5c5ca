"""The definition of a loop: one search over finished texts and one that watches a text grow say the same."""

import random

import pytest
from plumbline_contracts.periodicity import LoopRule, LoopWatch, Periodicity, loop_of, periodic_suffix, text_of


def by_definition(text: str, rule: LoopRule) -> Periodicity | None:
    for period in range(1, len(text)):
        agree = 0
        while agree < len(text) - period and text[-1 - agree] == text[-1 - agree - period]:
            agree += 1
        if period + agree >= rule.covered_by(period):
            return Periodicity(period, period + agree)
    return None


@pytest.mark.parametrize("rule", [LoopRule(2, 4), LoopRule(2.5, 10), LoopRule(3, 20), LoopRule(4, 60), LoopRule(8, 4)])
def test_both_forms_are_the_definition(rule) -> None:
    chance = random.Random(7)
    found = 0
    for _ in range(300):
        letters = chance.choice(["a", "ab", "abc", "abcdefgh"])
        unit = "".join(chance.choices(letters, k=chance.randint(1, 12)))
        text = (
            "".join(chance.choices(letters, k=chance.randint(0, 20)))
            + unit * chance.randint(1, 9)
            + unit[: chance.randint(0, 12)]
        )
        watch = LoopWatch(rule)
        watched = [watch.push(letter) for letter in text]
        expected = by_definition(text, rule)
        assert periodic_suffix(text, rule) == watched[-1] == expected, (text, rule)
        found += expected is not None
    assert 30 < found < 300


def test_token_ids_are_watched_and_searched_alike() -> None:
    tokens = [5, 9, 128_000, *[77, 200_123, 3] * 7, 77]
    rule = LoopRule(3, 12)
    watch = LoopWatch(rule)
    watched = [watch.push(token) for token in tokens]
    assert watched.index(Periodicity(3, 12)) == 14
    assert periodic_suffix(text_of(tokens), rule) == watched[-1] == Periodicity(3, 22)
    assert watched[-1].repeats == pytest.approx(22 / 3)


def test_a_period_beyond_the_window_is_not_watched() -> None:
    watch = LoopWatch(LoopRule(2, 4), max_period=8)
    assert not any(watch.push(element) for element in [*range(9)] * 5)
    watch = LoopWatch(LoopRule(2, 4), max_period=9)
    assert any(watch.push(element) for element in [*range(9)] * 5)


def test_layout_is_no_loop_unless_it_is_long_or_has_words_in_what_repeats() -> None:
    rule, form = LoopRule(3, 60), "Name: " + "_" * 70 + "\n" + "Place: " + "_" * 70
    assert loop_of("-" * 399, rule) is None
    assert loop_of("-" * 400, rule) == Periodicity(1, 400)
    assert loop_of(form, rule) is None
    assert loop_of(form + "\n", LoopRule(3, 1)) is None
    assert loop_of((form + "\n") * 3, rule) == Periodicity(len(form) + 1, 3 * (len(form) + 1))
    assert periodic_suffix(form, rule) == Periodicity(1, 70)
