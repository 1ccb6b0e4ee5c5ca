"""Infinite loop: the response ends in exact repetition, from some point to its last character."""

import re

from plumbline_contracts.analyzer import DetectionItem

from .verdict import ABSENT, Verdict, found, undecided

# A model that ran into its token limit while repeating is looping after few repeats. One that ended by itself may have
# written a refrain, so it takes more. The numbers are ours; the README says what they do on real responses.
_MIN_REPEATS = {"length": 3, "loop": 3, None: 4}
_MIN_REPEATS_ENDED = 8
_MIN_CHARACTERS = 60
_MIN_CHARACTERS_NO_WORDS = 400  # rulers, dotted lines and empty table rows are layout
_ASKS_FOR_REPETITION = re.compile(
    r"\b(repeat\w*|over and over|\d+ times|(?:hundred|thousand|million) times"
    r"|répét\w+|répèt\w+|\d+ fois|(?:cent|mille) fois|repet\w+|repit\w+|\d+ veces|(?:cien|mil) veces)\b",
    re.IGNORECASE,
)


def detect(item: DetectionItem) -> Verdict:
    # Blanks that ran into a limit are what the model would have gone on with; otherwise they are the end of a line.
    text = item.response if item.finish_reason in ("length", "loop") else item.response.rstrip()
    min_repeats = _MIN_REPEATS.get(item.finish_reason, _MIN_REPEATS_ENDED)
    period, covered = repeating_suffix(text, min_repeats)
    if not period:
        return ABSENT
    onset = len(text) - covered
    unit = text[onset : onset + period]
    evidence = f"{covered / period:.1f} repeats of {period} characters from {onset} to the end: {unit}"
    if _ASKS_FOR_REPETITION.search(item.instruction):
        return undecided(f"the instruction may ask for it: {evidence}")
    return found(evidence, onset, len(text))


def repeating_suffix(text: str, min_repeats: float) -> tuple[int, int]:
    """The shortest period of a long enough suffix and that suffix's length, or (0, 0). The last repeat may be cut."""
    for period, match in enumerate(_z_function(text[::-1], len(text) // 2)):
        covered = period + match
        if period and covered >= min_repeats * period and covered >= _MIN_CHARACTERS:
            unit = text[len(text) - period :]
            if covered >= _MIN_CHARACTERS_NO_WORDS or any(map(str.isalnum, unit)):
                return period, covered
    return 0, 0


def _z_function(text: str, limit: int) -> list[int]:
    """For each i <= limit, how far text[i:] agrees with text. Linear time (Gusfield 1997, section 1.4)."""
    length = len(text)
    z = [0] * min(limit + 1, length)
    left = right = 0
    for i in range(1, len(z)):
        match = min(z[i - left], right - i) if i < right else 0
        while i + match < length and text[match] == text[i + match]:
            match += 1
        if i + match > right:
            left, right = i, i + match
        z[i] = match
    return z
