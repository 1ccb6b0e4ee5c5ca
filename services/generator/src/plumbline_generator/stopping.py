"""Stop strings, on finished text and on one that grows."""

from collections.abc import Sequence


def cut(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """`text` before the stop string that begins first, and whether there was one."""
    found = [position for string in stop if (position := text.find(string)) >= 0]
    return (text[: min(found)], True) if found else (text, False)


class StopSearch:
    """Reads a text as it grows."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop, self._end = stop, ""
        self._before = max(len(string) for string in stop) - 1  # characters of one that stood there already

    def read(self, more: str, open: str) -> bool:
        """Whether one is now complete, `open` included, which may still be read otherwise."""
        self._end = self._end[max(0, len(self._end) - self._before) :] + more
        return any(string in self._end + open for string in self._stop)
