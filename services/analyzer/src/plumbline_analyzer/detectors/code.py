"""Unintended code: program text in a response to an instruction that does not ask for any. Looks at the raw text."""

from plumbline_contracts.analyzer import DetectionItem, Severity

from .code_lines import lines
from .fences import blocks
from .intent import asks_for_code
from .verdict import ABSENT, NOT_APPLICABLE, Verdict, found

# Fewer lines may be an example in passing; prose with one line in three of code has become code.
_MIN_LINES = 3
_MIN_SHARE = 0.3
_MIN_RUN = 5


def detect(item: DetectionItem) -> Verdict:
    asked = asks_for_code(item.instruction) if item.asks_for_code is None else item.asks_for_code
    if asked or contains_code(item.instruction):
        return NOT_APPLICABLE
    place = find_code(item.response)
    if place is None:
        return ABSENT
    start, end = place
    return found(item.response[start:end], start, end, Severity.MAJOR, "code")


def contains_code(text: str) -> bool:
    return find_code(text) is not None


def find_code(text: str) -> tuple[int, int] | None:
    """Where the first fenced block of code is, or else the code-like lines."""
    return _fenced(text) or _unfenced(text)


def _fenced(text: str) -> tuple[int, int] | None:
    """A block that names a programming language, or whose lines look like code."""
    for block in blocks(text):
        if (block.programming and block.body.strip()) or _mostly_code(block.body):
            return block.start, block.end
    return None


def _mostly_code(body: str) -> bool:
    code = [line.code for line in lines(body)]
    return bool(code) and 2 * sum(code) >= len(code)


def _unfenced(text: str) -> tuple[int, int] | None:
    every = lines(text)
    code = [line for line in every if line.code]
    run = longest = 0
    for line in every:
        run = run + 1 if line.code else 0
        longest = max(longest, run)
    enough = len(code) >= _MIN_LINES and len(code) >= _MIN_SHARE * len(every)
    return (code[0].start, code[-1].end) if enough or longest >= _MIN_RUN else None
