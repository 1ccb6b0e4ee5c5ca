"""Take a text apart into lines with something to translate, and put it together again unchanged in shape."""

import re
from dataclasses import dataclass

# A fence ends with a line of at least as many of the same marks, or with the text (CommonMark 0.31, section 4.5).
FENCE = re.compile(r"^[ \t]*(?:(`{3,})[^`\n]*|(~{3,})[^\n]*)$(?:.*?^[ \t]*(?:\1`*|\2~*)[ \t]*$|.*)", re.M | re.S)
_MARKS = re.compile(r"\s*(?:(?:[-*+•\u2013]|\d{1,3}[.)]|#{1,6}|>)\s+)*")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True)
class Line:
    """A line: what stays as it is before and after the `body`, which is empty where nothing is to be translated."""

    before: str
    body: str
    after: str


def take_apart(text: str) -> list[Line]:
    """The lines of `text`. Fenced code, indents, list marks and lines without a letter stay outside the bodies."""
    lines, position = [], 0
    for fence in FENCE.finditer(text):
        lines += _lines(text[position : fence.start()])
        lines.append(Line(fence[0], "", ""))
        position = fence.end()
    return lines + _lines(text[position:])


def put_together(lines: list[Line], bodies: list[str]) -> str:
    return "".join(f"{line.before}{body}{line.after}" for line, body in zip(lines, bodies, strict=True))


def _lines(text: str) -> list[Line]:
    return [_line(line) for line in re.findall(r"[^\n]*\n|[^\n]+", text)]


def _line(line: str) -> Line:
    if not _LETTER.search(line):
        return Line(line, "", "")
    marks = _MARKS.match(line)
    start = marks.end() if marks else 0
    end = len(line.rstrip())
    return Line(line[:start], line[start:end], line[end:])
