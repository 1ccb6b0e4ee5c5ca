"""Which lines of a text are program text."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from .words import table

_LONGEST = 300
_TEXT = re.compile(r"[^\n]+")
# Most prose lacks these, and nearly every line of it those: what lacks them is not held against the table.
_ANY = re.compile(r"[={}()\[\];<>$\\]")
_HINT = re.compile(r"[={}()\[\];<>$\\]|:$|::|^#!|^(?:import|from|use|using|package|my|local|git|sudo|FROM|UPDATE)\s")
_LINE, _BESIDE = (
    re.compile(rf"(?:{'|'.join(f'(?:{pattern})' for pattern in table('code')[kind])})\s*$")
    for kind in ("line", "beside")
)
_PAIR = re.compile(r"""^\s*"[\w-]+":\s.*[,\[{}\]"\d]\s*$""")
_DECORATOR = re.compile(r"^\s*@\w+(?:\.\w+)*(?:\(.*\))?\s*$")
_DECLARATION = re.compile(r"^\s*(?:async\s+def|def|class|public|private|protected|static|final|abstract|export)\s")
_NEAR = 3  # lines between a line that may be code and one that surely is


class Line(NamedTuple):
    start: int
    end: int
    code: bool


@lru_cache(maxsize=32)  # two detectors ask about the same response
def lines(text: str) -> Sequence[Line]:
    """The lines that are not blank; none at all of a text that has no character of a program.

    What ordinary text has, too, counts only near a line that is surely code.
    """
    if _ANY.search(text) is None and ":\n  " not in text:  # the latter is YAML
        return ()
    spans = [match.span() for match in _TEXT.finditer(text) if not match[0].isspace()]
    texts = [text[start : min(end, start + _LONGEST)] for start, end in spans]
    code = [_is_code(line) for line in texts]
    if any(code):
        near = _near(code)
        rest = zip(map(_may_be, texts), _pairs(texts), _decorators(texts, code), strict=True)
        code = [sure or (close and any(may)) for sure, close, may in zip(code, near, rest, strict=True)]
    return [Line(*span, is_code) for span, is_code in zip(spans, code, strict=True)]


def _is_code(line: str) -> bool:
    return _HINT.search(line) is not None and _LINE.match(line.lstrip()) is not None


def _may_be(line: str) -> bool:
    return _BESIDE.match(line.lstrip()) is not None


def _near(sure: Sequence[bool]) -> list[bool]:
    """Whether one of the few lines before or after is sure."""
    total = [0, *accumulate(sure)]
    return [total[min(len(sure), i + _NEAR + 1)] > total[max(0, i - _NEAR)] for i in range(len(sure))]


def _pairs(texts: Sequence[str]) -> Iterator[bool]:
    """A quoted name and its value, inside of an open bracket."""
    depth = 0
    for line in texts:
        yield depth > 0 and _PAIR.match(line) is not None
        depth = max(0, depth + sum(map(line.count, "{[")) - sum(map(line.count, "}]")))


def _decorators(texts: Sequence[str], strong: Sequence[bool]) -> list[bool]:
    """Before a function or a class, or before another decorator that is."""
    found, before = [], False
    for line, is_strong in zip(reversed(texts), reversed(strong), strict=True):
        decorator = before and _DECORATOR.match(line) is not None
        found.append(decorator)
        before = decorator or (is_strong and _DECLARATION.match(line) is not None)
    return found[::-1]
