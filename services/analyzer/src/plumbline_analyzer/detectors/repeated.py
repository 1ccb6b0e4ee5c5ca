"""Instruction repeated: the response says the instruction again, instead of an answer or before one."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import lru_cache

from plumbline_contracts.analyzer import DetectionItem, Severity

from .intent import asks_for_its_own_text
from .verdict import ABSENT, NOT_APPLICABLE, Verdict, found

# A shorter instruction is a natural title or opening of its answer.
_FEWEST_WORDS = 5
_LONGEST = 4_000  # characters of an instruction that are compared
_ALIKE = 0.9
_LEAD = 12  # words before a repetition that is not word for word: "Sure! You asked: ..."
_LEAD_CHARACTERS = 150
# What may stand before and after it: a list marker, a label such as "Query:", quotation marks, the end of a sentence.
_BEFORE = re.compile(r"[\s\W_]*(?:[^\n:.]{1,40}:[\s\W_]*)?")
_AFTER = re.compile(r"[\s\"'»”*_`]*(?:[.?!:]|\n|$)")
_WORD = re.compile(r"\w+")


def detect(item: DetectionItem) -> Verdict:
    instruction = item.instruction.strip()[:_LONGEST]
    words = _words(instruction)
    if len(words) < _FEWEST_WORDS or asks_for_its_own_text(instruction):
        return NOT_APPLICABLE
    place = _verbatim(item.response, instruction) or _opening(item.response, words)
    if place is None:
        return ABSENT
    start, end = place
    rest = len(_WORD.findall(item.response)) - len(_WORD.findall(item.response[start:end]))
    severity = Severity.CRITICAL if rest < _FEWEST_WORDS else Severity.MINOR
    return found(item.response[start:end], start, end, severity)


@lru_cache(maxsize=4096)  # the arms of an experiment share their instructions
def _words(text: str) -> Sequence[str]:
    return tuple(_WORD.findall(text.casefold()))


def _verbatim(response: str, instruction: str) -> tuple[int, int] | None:
    """As a line or a sentence of its own, whatever the case; a mark at the end does not matter.

    "The best way to peel garlic is ..." answers "Best way to peel garlic?" and repeats nothing.
    """
    sought, lower = instruction.rstrip(".?!: \n").lower(), response.lower()
    if len(lower) != len(response):  # a few letters change their length in lower case; then offsets would lie
        return None
    start = lower.find(sought)
    while start >= 0 and not _stands_alone(lower, start, start + len(sought)):
        start = lower.find(sought, start + 1)
    return None if start < 0 else (start, start + len(sought))


def _stands_alone(text: str, start: int, end: int) -> bool:
    line = text[text.rfind("\n", 0, start) + 1 : start]
    return _BEFORE.fullmatch(line) is not None and _AFTER.match(text, end) is not None


def _opening(response: str, words: Sequence[str]) -> tuple[int, int] | None:
    """Near the beginning, with small changes."""
    lead = _WORD.findall(response[:_LEAD_CHARACTERS].casefold())[:_LEAD]
    if words[0] not in lead:
        return None
    spans = [match.span() for match in _WORD.finditer(response[: sum(map(len, words)) * 2 + 200])]
    said = [response[start:end].casefold() for start, end in spans]
    slack = max(1, len(words) // 10)
    for first in range(min(_LEAD, len(said) - len(words) // 2)):
        for length in (len(words), len(words) + slack, len(words) - slack):
            part = said[first : first + length]
            if part[:1] == list(words[:1]) and SequenceMatcher(None, part, words, autojunk=False).ratio() >= _ALIKE:
                start, end = spans[first][0], spans[first + len(part) - 1][1]
                if _stands_alone(response, start, end):
                    return start, end
    return None
