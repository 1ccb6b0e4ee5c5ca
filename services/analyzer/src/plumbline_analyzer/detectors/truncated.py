"""Truncated: the token limit ended the response, as the generator reported it or a mark at its end says."""

import re

from plumbline_contracts.analyzer import DetectionItem, Severity

from .verdict import ABSENT, EVIDENCE_LENGTH, Verdict, found, undecided

# URIAL's and just-eval's published files end so where a response was cut; no model wrote it.
_MARK = re.compile(r"\s*(?:\.\.\.|…) ?\(truncated\)\s*$")
_LONGEST_MARK = 40


def detect(item: DetectionItem) -> Verdict:
    reason = finish_reason(item)
    if reason is None:
        return undecided("the finish reason is not known")
    if reason == "loop":
        return undecided("it was ended early, as a loop; whether the limit would have ended it is not known")
    if reason != "length":
        return ABSENT
    end = len(item.response)
    start = max(0, end - EVIDENCE_LENGTH)
    return found(item.response[start:], start, end, Severity.MINOR)


def finish_reason(item: DetectionItem) -> str | None:
    """The generator's, or `length` where it is not known and the response bears the mark."""
    if item.finish_reason is None and len(without_mark(item.response)) < len(item.response):
        return "length"
    return item.finish_reason


def without_mark(text: str) -> str:
    if not text.endswith(("(truncated)", "(truncated)\n")):
        return text
    mark = _MARK.search(text, max(0, len(text) - _LONGEST_MARK))
    return text[: mark.start()] if mark else text
