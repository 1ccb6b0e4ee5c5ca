import pytest
from plumbline_analyzer.detectors import loop
from plumbline_contracts.analyzer import Finding, Repetition, Severity
from plumbline_contracts.periodicity import LoopRule, periodic_suffix

SENTENCE = "The dog ran over the hill and came back home. "
INTRODUCTION = "Here is a short story about a dog and its owner. "


def naive_period(text: str) -> int:
    return next(p for p in range(1, len(text) + 1) if text[p:] == text[:-p])


@pytest.mark.parametrize("finish_reason", ["length", None, "stop"])
def test_a_long_loop_is_found_whatever_ended_it(item, finish_reason) -> None:
    verdict = loop.detect(item(INTRODUCTION + SENTENCE * 12, finish_reason=finish_reason))
    assert verdict.finding == Finding.FOUND
    # The characters before the first repeat may happen to agree with the end of the unit.
    assert len(INTRODUCTION) - 2 <= verdict.start <= len(INTRODUCTION)
    response = INTRODUCTION + SENTENCE * 12
    assert verdict.end == len(response if finish_reason == "length" else response.rstrip())
    assert verdict.kind == "exact"
    assert verdict.repetition == Repetition(
        onset=verdict.start, period=len(SENTENCE), repeats=verdict.repetition.repeats
    )
    assert verdict.repetition.repeats >= 11.9
    assert verdict.severity == Severity.CRITICAL
    assert len(verdict.evidence) <= 120


def test_the_last_repeat_may_be_cut_anywhere(item) -> None:
    for cut in range(len(SENTENCE)):
        response = INTRODUCTION + SENTENCE * 5 + SENTENCE[:cut]
        assert loop.detect(item(response, finish_reason="length")).finding == Finding.FOUND


@pytest.mark.parametrize("period", [1, 2, 3, 7, 33, 64, 81, 200])
def test_periods_of_any_length(period) -> None:
    unit = "".join(chr(97 + (i * i + i // 26) % 26) for i in range(period - 1)) + "#"
    text = "Once upon a time" + (unit.replace("#", "z") * 70 if period < 30 else unit * 6)
    found = periodic_suffix(text, LoopRule(3, 60))
    assert found.period == naive_period(text[16:])
    assert found.covered >= len(text) - 16


def test_three_repeats_are_enough_only_at_the_token_limit(item) -> None:
    response = INTRODUCTION + SENTENCE * 3
    assert loop.detect(item(response, finish_reason="length")).finding == Finding.FOUND
    assert loop.detect(item(response)).finding == Finding.ABSENT
    assert loop.detect(item(response, finish_reason="stop")).finding == Finding.ABSENT


def test_repetition_that_ends_before_the_end_is_no_loop(item) -> None:
    assert loop.detect(item(SENTENCE * 20 + "Then it slept.", finish_reason="length")).finding == Finding.ABSENT


REFRAIN = "Oh the river runs, oh the river sings,\nCarry me home on your silver wings.\n"
HARD_NEGATIVES = {
    "english song": "I was young by the water\n" + REFRAIN + "Now I am old by the sea\n" + REFRAIN * 3,
    "french counting rhyme": "Un, deux, trois, nous irons au bois,\nQuatre, cinq, six, cueillir des cerises,\n"
    "Sept, huit, neuf, dans mon panier neuf,\nDix, onze, douze, elles seront toutes rouges.",
    "spanish list": "".join(f"{i}. El animal número {i} es un animal doméstico.\n" for i in range(1, 6)),
    "french list": "\n".join(f"- Le {mot} est un animal." for mot in ("chat", "chien", "lapin", "cheval", "canard")),
    "laughter": "He looked at the joke and laughed: ha ha ha ha ha ha ha ha!",
    "refrain word": "Vamos, vamos, vamos, vamos, vamos, vamos.",
    "ruler": "Name: \n\n" + "_" * 80,
    "dotted line": "Signature " + "." * 120,
    "empty table": "| Day | Meal |\n|---|---|\n" + "|   |   |\n" * 14,
    "blank lines": "The end." + "\n" * 300,
    "number": "A googol is 1" + "0" * 55,
    "empty": "",
}


@pytest.mark.parametrize("name", HARD_NEGATIVES)
def test_what_repeats_without_being_a_loop(item, name) -> None:
    assert loop.detect(item(HARD_NEGATIVES[name])).finding == Finding.ABSENT


def test_endless_blank_lines_are_a_loop(item) -> None:
    assert loop.detect(item("Paris." + "\n" * 3000, finish_reason="length")).finding == Finding.FOUND


def test_a_generator_that_stopped_a_loop_counts_like_the_limit(item) -> None:
    assert loop.detect(item(INTRODUCTION + SENTENCE * 3, finish_reason="loop")).finding == Finding.FOUND


def test_endless_punctuation_is_a_loop(item) -> None:
    assert loop.detect(item("Well" + "." * 2000, finish_reason="length")).finding == Finding.FOUND


@pytest.mark.parametrize(
    ("instruction", "language"),
    [
        ("Write 'I will not be late' 100 times.", "en"),
        ("Répète le mot bonjour cent fois.", "fr"),
        ("Escribe mi nombre 50 veces.", "es"),
    ],
)
def test_repetition_that_was_asked_for_is_no_loop(item, instruction, language) -> None:
    verdict = loop.detect(item("I will not be late. " * 100, instruction, language))
    assert verdict.finding == Finding.NOT_APPLICABLE


def test_a_counter_is_a_near_loop(item) -> None:
    text = INTRODUCTION + "\n" + "\n".join(f"{n}. The cat sat on the mat and looked at me." for n in range(95, 107))
    verdict = loop.detect(item(text, finish_reason="length"))
    assert (verdict.finding, verdict.kind) == (Finding.FOUND, "near")
    assert text[verdict.start :].lstrip("\n").startswith("95.")
    assert verdict.repetition.repeats == pytest.approx(12, abs=0.5)
    assert loop.detect(item(text[:200])).finding == Finding.ABSENT


def test_reworded_sentences_are_a_near_loop(item) -> None:
    names = ["red", "blue", "green", "old", "new", "tall"] * 2
    text = INTRODUCTION + " ".join(f"The {name} house is the finest house in the whole town." for name in names)
    verdict = loop.detect(item(text, finish_reason="length"))
    assert (verdict.finding, verdict.kind, verdict.start) == (Finding.FOUND, "near", len(INTRODUCTION))


@pytest.mark.parametrize("joint", [", ", "\n- "])
def test_a_list_that_comes_back_is_a_loop(item, joint) -> None:
    items = ["oak", "elm", "ash", "fir", "beech", "oak", "ash"] * 9 + ["elm", "elm", "fir"]
    text = f"Trees of the town:\n- {joint.join(items)}"
    verdict = loop.detect(item(text, finish_reason="length", instruction="Name some trees."))
    assert verdict.finding == Finding.FOUND
    every = joint.join(f"tree{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(40))
    assert loop.detect(item(every, finish_reason="length")).finding == Finding.ABSENT


def test_what_was_asked_for_is_no_loop(item) -> None:
    refrain = item(REFRAIN * 5, "Write a song about a river.")
    assert loop.detect(refrain).finding == Finding.NOT_APPLICABLE
    assert loop.detect(item(REFRAIN * 5, "Write a song.", finish_reason="length")).finding == Finding.FOUND
    lines = "\n".join(f"{n}. He saw her, and she saw him too." for n in range(1, 21))
    assert loop.detect(item(lines, "Write 20 very short stories.")).finding == Finding.NOT_APPLICABLE
