"""Unintended code: program text in a response to an instruction that does not ask for any. Looks at the raw text.

Formulas in LaTeX and marked up words are no code. A document in HTML or LaTeX that nobody asked for is found, as a kind
of its own.
"""

import re
from functools import lru_cache

from plumbline_contracts.analyzer import DetectionItem, Severity

from .code_lines import lines
from .fences import blocks
from .intent import asks_for_code
from .verdict import ABSENT, NOT_APPLICABLE, Verdict, found

# Fewer lines may be an example in passing; prose with one line in three of code has become code.
_MIN_LINES = 3
_MIN_SHARE = 0.3
_MIN_RUN = 5
_MOSTLY = 0.6  # with that share two lines are enough: the response is code
_DATA = re.compile(r'[\[{]\s?"[\w-]+"\s?:[^\n]{0,300},\s?"[\w-]+"\s?:[^\n]*[\]}]')
_LATEX = re.compile(r"^\s*\\(?:documentclass|usepackage|begin\{document\})", re.MULTILINE)
_TAG = re.compile(r"^\s*<[/!?a-zA-Z]", re.MULTILINE)


def detect(item: DetectionItem) -> Verdict:
    asked = asks_for_code(item.instruction) if item.asks_for_code is None else item.asks_for_code
    if asked or contains_code(item.instruction):
        return NOT_APPLICABLE
    place = find_code(item.response)
    if place is None:
        return ABSENT
    start, end = place
    text = item.response[start:end]
    severity = Severity.CRITICAL if 2 * (end - start) > len(item.response) else Severity.MAJOR
    return found(text, start, end, severity, _kind(text))


def _kind(text: str) -> str:
    if _LATEX.search(text):
        return "latex"
    return "markup" if 2 * len(_TAG.findall(text)) > len(text.splitlines()) else "code"


@lru_cache(maxsize=4096)  # the arms of an experiment share their instructions
def contains_code(text: str) -> bool:
    return find_code(text) is not None


@lru_cache(maxsize=32)  # two detectors ask about the same response
def find_code(text: str) -> tuple[int, int] | None:
    """Where the first fenced block of code is, or else the code-like lines."""
    return _fenced(text) or _unfenced(text) or _data(text)


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
    if not code:
        return None
    run = longest = 0
    for line in every:
        run = run + 1 if line.code else 0
        longest = max(longest, run)
    enough = len(code) >= _MIN_LINES and len(code) >= _MIN_SHARE * len(every)
    enough = enough or (len(code) >= _MIN_LINES - 1 and len(code) >= _MOSTLY * len(every))
    return (code[0].start, code[-1].end) if enough or longest >= _MIN_RUN else None


def _data(text: str) -> tuple[int, int] | None:
    """An object in JSON on one line."""
    match = _DATA.search(text) if '":' in text or '" :' in text else None
    return match.span() if match else None
