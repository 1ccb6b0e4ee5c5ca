"""Infinite loop: the response ends in repetition, from some point to its last character."""

from plumbline_contracts.analyzer import DetectionItem, Repetition, Severity
from plumbline_contracts.periodicity import LoopRule, periodic_suffix

from .intent import asks_for_repetition
from .verdict import ABSENT, NOT_APPLICABLE, Verdict, found

# A model that ran into its token limit while repeating is looping after few repeats. One that ended by itself may have
# written a refrain, so it takes more. The numbers are ours; docs/detectors.md says what they do on real responses.
_MIN_REPEATS = {"length": 3, "loop": 3, None: 4}
_MIN_REPEATS_ENDED = 8
_MIN_CHARACTERS = 60
_MIN_CHARACTERS_NO_WORDS = 400  # rulers, dotted lines and empty table rows are layout


def detect(item: DetectionItem) -> Verdict:
    # Blanks that ran into a limit are what the model would have gone on with; otherwise they are the end of a line.
    text = item.response if item.finish_reason in ("length", "loop") else item.response.rstrip()
    repetition = exact(text, _MIN_REPEATS.get(item.finish_reason, _MIN_REPEATS_ENDED))
    if repetition is None:
        return ABSENT
    if asks_for_repetition(item.instruction):
        return NOT_APPLICABLE
    unit = text[repetition.onset : repetition.onset + repetition.period]
    severity = Severity.CRITICAL if 2 * repetition.onset < len(text) else Severity.MAJOR
    return found(f"{repetition.repeats:g} times: {unit}", repetition.onset, len(text), severity, "exact", repetition)


def exact(text: str, min_repeats: float) -> Repetition | None:
    found = periodic_suffix(text, LoopRule(min_repeats, _MIN_CHARACTERS))
    if found is not None and not any(map(str.isalnum, text[len(text) - found.period :])):
        found = periodic_suffix(text, LoopRule(min_repeats, _MIN_CHARACTERS_NO_WORDS))
    if found is None:
        return None
    onset = len(text) - found.covered
    return Repetition(onset=onset, period=found.period, repeats=round(found.repeats, 1))
