"""What a loop is: a sequence that ends in exact repetition.

The one definition behind a generator's finish reason `loop` and an analyzer's `infinite_loop`; here because both may
import this package and neither the other.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import NamedTuple

MIN_COVERED_WITHOUT_WORDS = 400  # characters; ours, by what real responses have (docs/detectors.md)


class Periodicity(NamedTuple):
    """The last `covered` elements repeat every `period`; the last repeat may be cut."""

    period: int
    covered: int

    @property
    def repeats(self) -> float:
        return self.covered / self.period


class LoopRule(NamedTuple):
    """Elements are characters or tokens. A period counts once `covered` reaches both limits."""

    min_repeats: float
    min_covered: int

    def covered_by(self, period: int) -> float:
        """How many elements at the end must repeat with this period."""
        return max(self.min_repeats * period, self.min_covered)


def periodic_suffix(text: str, rule: LoopRule) -> Periodicity | None:
    """The shortest period that satisfies the rule at the end of the text. Token ids come as `text_of(ids)`."""
    return next(_periodic_suffixes(text, rule), None)


def loop_of(text: str, rule: LoopRule) -> Periodicity | None:
    """The loop that a text ends in, if it does. Repeats without a letter or digit must cover more: rulers, dotted
    lines and empty table rows are layout."""
    for found in _periodic_suffixes(text, rule):
        if found.covered >= MIN_COVERED_WITHOUT_WORDS or any(map(str.isalnum, text[len(text) - found.period :])):
            return found
    return None


def _periodic_suffixes(text: str, rule: LoopRule) -> Iterator[Periodicity]:
    """From the shortest period on.

    Whatever the period, the end of the text stands once more one period earlier, so only the places where a stretch
    of that length is found again are looked at.
    """
    length = len(text)
    if length < rule.min_covered:
        return
    stretch = max(1, int(rule.min_covered * (1 - 1 / rule.min_repeats)))
    first, last = max(0, length - stretch - int(length / rule.min_repeats)), length - 1
    while (place := text.rfind(text[length - stretch :], first, last)) >= 0:
        period = length - stretch - place
        if _agrees(text, period, int(rule.covered_by(period) + 0.999) - period):
            yield Periodicity(period, period + _agreement(text, period))
        last = place + stretch - 1


def text_of(tokens: Iterable[int]) -> str:
    """One character per token id (below 1,114,112), so that both levels share one search."""
    return "".join(map(chr, tokens))


def _agrees(text: str, period: int, wanted: int) -> bool:
    """Whether the last `wanted` characters stand one period earlier, too. Looks at few of them where they do not."""
    if wanted + period > len(text):
        return False
    size = 64
    while size < wanted and _same(text, period, size):
        size *= 4
    return _same(text, period, min(size, wanted))


def _agreement(text: str, period: int) -> int:
    """How many characters at the end stand one period earlier, too."""
    sizes = range(len(text) - period + 1)
    return bisect_left(sizes, True, key=lambda size: not _same(text, period, size)) - 1


def _same(text: str, period: int, size: int) -> bool:
    end = len(text)
    return text[end - size :] == text[end - period - size : end - period]
