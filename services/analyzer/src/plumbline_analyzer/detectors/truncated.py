"""Truncated: the token limit ended the response, as the generator reported it."""

from plumbline_contracts.analyzer import DetectionItem, Severity

from .verdict import ABSENT, EVIDENCE_LENGTH, Verdict, found, undecided


def detect(item: DetectionItem) -> Verdict:
    if item.finish_reason is None:
        return undecided("the finish reason is not known")
    if item.finish_reason != "length":
        return ABSENT
    end = len(item.response)
    start = max(0, end - EVIDENCE_LENGTH)
    return found(item.response[start:], start, end, Severity.MINOR)
