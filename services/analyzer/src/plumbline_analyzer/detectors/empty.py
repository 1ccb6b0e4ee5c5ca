"""Empty: no letter and no digit."""

from plumbline_contracts.analyzer import DetectionItem, Severity

from .verdict import ABSENT, Verdict, found


def detect(item: DetectionItem) -> Verdict:
    if any(map(str.isalnum, item.response)):
        return ABSENT
    return found(f"no letters or digits: {item.response!r}", 0, len(item.response), Severity.CRITICAL)
