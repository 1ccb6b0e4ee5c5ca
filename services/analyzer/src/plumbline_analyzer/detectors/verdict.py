"""What a detector answers about one response."""

from typing import NamedTuple

from plumbline_contracts.analyzer import Finding

EVIDENCE_LENGTH = 120


class Verdict(NamedTuple):
    """`start` and `end` are character offsets into the raw response, where there is a place to show."""

    finding: Finding
    evidence: str | None = None
    start: int | None = None
    end: int | None = None


ABSENT = Verdict(Finding.ABSENT)
NOT_APPLICABLE = Verdict(Finding.NOT_APPLICABLE)


def found(evidence: str, start: int, end: int) -> Verdict:
    return Verdict(Finding.FOUND, excerpt(evidence), start, end)


def undecided(why: str) -> Verdict:
    return Verdict(Finding.UNDECIDED, excerpt(why))


def excerpt(text: str, length: int = EVIDENCE_LENGTH) -> str:
    """On one line, at most `length` characters."""
    line = " ".join(text[: 8 * length].split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
