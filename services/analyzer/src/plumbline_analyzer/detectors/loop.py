"""Infinite loop: the response ends in repetition, exact or nearly so, from some point to its last character."""

from plumbline_contracts.analyzer import DetectionItem, Repetition, Severity
from plumbline_contracts.periodicity import LoopRule, loop_of

from .intent import asks_for_as_many, asks_for_repetition, asks_for_verse
from .near_loop import LIMITS, Near, counter, items, reworded
from .truncated import finish_reason, without_mark
from .verdict import ABSENT, NOT_APPLICABLE, Verdict, found

# A model that ran into its token limit while repeating is looping after few repeats. One that ended by itself may have
# written a refrain, so it takes more. The numbers are ours; docs/detectors.md says what they do on real responses.
_MIN_REPEATS = {"length": 3, "loop": 3, None: 4}
_MIN_REPEATS_ENDED = 8
_MIN_CHARACTERS = 60
_REFRAIN = 12  # a song that ended may repeat its refrain as often


def detect(item: DetectionItem) -> Verdict:
    reason = finish_reason(item)
    # Blanks that ran into a limit are what the model would have gone on with; otherwise they are the end of a line.
    text = without_mark(item.response) if reason in LIMITS else item.response.rstrip()
    near = find(text, reason)
    if near is None:
        return ABSENT
    kind, repetition = near
    if _was_asked_for(item.instruction, reason in LIMITS, kind, repetition.repeats):
        return NOT_APPLICABLE
    unit = text[repetition.onset : repetition.onset + repetition.period]
    severity = Severity.CRITICAL if 2 * repetition.onset < len(text) else Severity.MAJOR
    return found(f"{repetition.repeats:g} times: {unit}", repetition.onset, len(text), severity, kind, repetition)


def _was_asked_for(instruction: str, at_limit: bool, kind: str, repeats: float) -> bool:
    """Repetition as such; or, where the model ended by itself, the refrain of a song, or that many like items."""
    if asks_for_repetition(instruction):
        return True
    if at_limit:
        return False
    refrain = repeats < _REFRAIN and asks_for_verse(instruction)
    return refrain or (kind != "exact" and asks_for_as_many(instruction, repeats))


def find(text: str, finish_reason: str | None) -> Near | None:
    """The strictest kind of loop that the text ends in."""
    repetition = exact(text, _MIN_REPEATS.get(finish_reason, _MIN_REPEATS_ENDED))
    if repetition is not None:
        return Near("exact", repetition)
    return counter(text, finish_reason) or reworded(text, finish_reason) or items(text, finish_reason)


def exact(text: str, min_repeats: float) -> Repetition | None:
    found = loop_of(text, LoopRule(min_repeats, _MIN_CHARACTERS))
    if found is None:
        return None
    onset = len(text) - found.covered
    return Repetition(onset=onset, period=found.period, repeats=round(found.repeats, 1))
