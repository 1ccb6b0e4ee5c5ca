"""Stop strings on finished text."""

from collections.abc import Sequence


def cut(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """`text` before the stop string that begins first, and whether there was one."""
    found = [position for string in stop if (position := text.find(string)) >= 0]
    return (text[: min(found)], True) if found else (text, False)
