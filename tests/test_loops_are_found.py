"""What a generator ends as a loop is one to the analyzer: over random texts that repeat themselves, more or less."""

import random
from collections.abc import Iterator

import pytest
from plumbline_analyzer.detectors import loop
from plumbline_contracts.analyzer import DetectionItem, Finding
from plumbline_contracts.generator import StopLoops
from plumbline_contracts.periodicity import LoopRule, loop_of
from plumbline_generator.loops import LoopSearch

# Tokens as tokenizers have them: parts of words, that begin alike and go on differently, layout, several bytes.
TOKENS = [
    " cat",
    " category",
    " the",
    " then",
    "\n",
    "\n\n",
    "-",
    "----",
    "_" * 12,
    " |",
    ".",
    "é",
    "猫",
    "犬猫",
    "12",
    " a",
    "a",
]
TOKENS += ["…", "\u0301", "👩‍👩‍👧", "#", "```", "na", "nana", " 1"]


def texts(draw: random.Random) -> Iterator[list[str]]:
    """Tokens of a beginning, then a unit again and again, in a part of the texts with a slip now and then."""
    while True:
        beginning = draw.choices(TOKENS, k=draw.randrange(12))
        unit = draw.choices(draw.sample(TOKENS, draw.randint(1, len(TOKENS))), k=draw.randint(1, 25))
        tokens = beginning + unit * (1 + 2000 // len("".join(unit)))
        slips = draw.choice([0, 0, 1, 4])
        for _ in range(slips):
            tokens[draw.randrange(len(tokens))] = draw.choice(TOKENS)
        yield tokens[: draw.randint(40, 400)]


@pytest.mark.parametrize("rule", [StopLoops(), StopLoops(min_repeats=3, min_characters=60)])
def test_what_is_ended_is_found(rule: StopLoops) -> None:
    draw, ended, layout = random.Random(11), 0, 0
    for _, tokens in zip(range(400), texts(draw), strict=False):
        search, text = LoopSearch(rule), ""
        for token in tokens:
            text += token
            if search.read(token):
                break
        if search.found is None:
            layout += loop_of("".join(tokens), LoopRule(rule.min_repeats, rule.min_characters)) is None
            continue
        ended += 1
        assert search.found.met_at == len(text)
        item = DetectionItem(id="1", instruction="Say it.", response=text, language="en", finish_reason="loop")
        verdict = loop.detect(item)
        assert verdict.finding == Finding.FOUND, (rule, text)
        assert verdict.kind == "exact"
    assert ended > 150 and layout > 20
