"""The definition of a loop: the search says what the definition says, which looks at every period."""

import random

import pytest
from plumbline_contracts.periodicity import LoopRule, Periodicity, loop_of, periodic_suffix, text_of


def by_definition(text: str, rule: LoopRule) -> Periodicity | None:
    for period in range(1, len(text)):
        agree = 0
        while agree < len(text) - period and text[-1 - agree] == text[-1 - agree - period]:
            agree += 1
        if period + agree >= rule.covered_by(period):
            return Periodicity(period, period + agree)
    return None


@pytest.mark.parametrize("rule", [LoopRule(2, 4), LoopRule(2.5, 10), LoopRule(3, 20), LoopRule(4, 60), LoopRule(8, 4)])
def test_the_search_is_the_definition(rule) -> None:
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
        expected = by_definition(text, rule)
        assert periodic_suffix(text, rule) == expected, (text, rule)
        found += expected is not None
    assert 30 < found < 300


def test_token_ids_are_searched_as_characters() -> None:
    tokens = [5, 9, 128_000, *[77, 200_123, 3] * 7, 77]
    found = periodic_suffix(text_of(tokens), LoopRule(3, 12))
    assert found == Periodicity(3, 22)
    assert found.repeats == pytest.approx(22 / 3)


def test_layout_is_no_loop_unless_it_is_long_or_has_words_in_what_repeats() -> None:
    rule, form = LoopRule(3, 60), "Name: " + "_" * 70 + "\n" + "Place: " + "_" * 70
    assert loop_of("-" * 399, rule) is None
    assert loop_of("-" * 400, rule) == Periodicity(1, 400)
    assert loop_of(form, rule) is None
    assert loop_of(form + "\n", LoopRule(3, 1)) is None
    assert loop_of((form + "\n") * 3, rule) == Periodicity(len(form) + 1, 3 * (len(form) + 1))
    assert periodic_suffix(form, rule) == Periodicity(1, 70)
