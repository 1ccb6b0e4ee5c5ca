"""What a detector answers about one response."""

from typing import NamedTuple

from plumbline_contracts.analyzer import Finding, Repetition, Severity

EVIDENCE_LENGTH = 120


class Verdict(NamedTuple):
    """The fields of a `Detection`. `start` and `end` are offsets into the raw response, where there is a place."""

    finding: Finding
    evidence: str | None = None
    start: int | None = None
    end: int | None = None
    kind: str | None = None
    severity: Severity | None = None
    repetition: Repetition | None = None


ABSENT = Verdict(Finding.ABSENT)
NOT_APPLICABLE = Verdict(Finding.NOT_APPLICABLE)


def found(
    evidence: str,
    start: int,
    end: int,
    severity: Severity,
    kind: str | None = None,
    repetition: Repetition | None = None,
) -> Verdict:
    return Verdict(Finding.FOUND, excerpt(evidence), start, end, kind, severity, repetition)


def undecided(why: str) -> Verdict:
    return Verdict(Finding.UNDECIDED, excerpt(why))


def excerpt(text: str, length: int = EVIDENCE_LENGTH) -> str:
    """On one line, at most `length` characters."""
    line = " ".join(text[: 8 * length].split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
