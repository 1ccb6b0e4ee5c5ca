"""Instruction repeated: the response says the instruction again, instead of an answer or before one."""

import re
from difflib import SequenceMatcher

from plumbline_contracts.analyzer import DetectionItem, Severity

from .intent import asks_for_its_own_text
from .verdict import ABSENT, NOT_APPLICABLE, Verdict, found

# A shorter instruction is a natural title or opening of its answer.
_FEWEST_WORDS = 5
_LONGEST = 4_000  # characters of an instruction that are compared
_ALIKE = 0.9
_LEAD = 12  # words before a repetition that is not word for word: "Sure! You asked: ..."
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


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _verbatim(response: str, instruction: str) -> tuple[int, int] | None:
    """Anywhere in the response, whatever the case; a mark at the end does not matter."""
    sought = instruction.rstrip(".?!: \n").lower()
    lower = response.lower()
    start = lower.find(sought)
    # A few letters (such as a Turkish capital i) change their length in lower case; then offsets would lie.
    return None if start < 0 or len(lower) != len(response) else (start, start + len(sought))


def _opening(response: str, words: list[str]) -> tuple[int, int] | None:
    """Near the beginning, with small changes."""
    spans = [match.span() for match in _WORD.finditer(response[: sum(map(len, words)) * 2 + 200])]
    said = [response[start:end].casefold() for start, end in spans]
    slack = max(1, len(words) // 10)
    for first in range(min(_LEAD, len(said) - len(words) // 2)):
        for length in (len(words), len(words) + slack, len(words) - slack):
            part = said[first : first + length]
            if part[:1] == words[:1] and SequenceMatcher(None, part, words, autojunk=False).ratio() >= _ALIKE:
                return spans[first][0], spans[first + len(part) - 1][1]
    return None
