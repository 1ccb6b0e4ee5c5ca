"""Loops that are not exact: a counter runs along, a word changes, or a list draws on a few items for ever."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from plumbline_contracts.analyzer import Repetition
from plumbline_contracts.periodicity import LoopRule, periodic_suffix
from rapidfuzz.fuzz import ratio

LIMITS = ("length", "loop")
_TAIL = 20_000  # characters from the end in which a near loop is measured
_LOOK = 400  # characters from the end that say whether to look closer
_NUMBER = re.compile(r"\d+")
_WORD = re.compile(r"[^\W\d_]{2,}")
_FEWEST_WORDS = 3  # of what repeats; "7 x 8 = 56" and "Monday 9:00" are tables

_SEGMENT = re.compile(r"[^\n]*[^\s][^\n]*")
_SENTENCE = re.compile(r"\S.*?(?:[.!?…]+(?=\s)|$)", re.DOTALL)
_ENDS = (".", "!", "?", "…")
_LEAST_SEGMENT = 25  # characters
_LAYOUT = re.compile(r"\s*(?:\||\[[^\]]*\]\s*$)")
_ALIKE = 75  # of 100, rapidfuzz's normalised insertions and deletions
_LAGS = (1, 2, 3)

_ITEM_BREAK = re.compile(r"[,;\n]+")
_MARKER = re.compile(r"^[\s\-*•\d.)]+")
_LONGEST_ITEM = 4  # words
_MOST_DISTINCT = 1 / 3
_RUNAWAY = 150  # items without an end are a runaway even if they all differ


class Near(NamedTuple):
    kind: str
    repetition: Repetition


def counter(text: str, finish_reason: str | None) -> Near | None:
    """Exact repetition but for the numbers."""
    if len(_NUMBER.findall(text[-_LOOK:])) < 3:
        return None
    tail = text[-_TAIL:]
    level = _NUMBER.sub("0", tail)
    found = periodic_suffix(level, LoopRule(_wanted(finish_reason, 4, 6, 10), 120))
    if found is None or len(_WORD.findall(level[len(level) - found.period :])) < _FEWEST_WORDS:
        return None
    onset = len(text) - len(tail) + _original(tail, len(level) - found.covered)
    return _near(text, onset, found.repeats)


def _original(text: str, place: int) -> int:
    """The offset in `text` of an offset in it with every number made one character long."""
    removed = 0
    for number in _NUMBER.finditer(text):
        if number.start() - removed >= place:
            break
        removed += len(number[0]) - 1
    return place + removed


def reworded(text: str, finish_reason: str | None) -> Near | None:
    """Line after line, or sentence after sentence, is nearly the one before it, or two or three before."""
    tail = text[-_TAIL:]
    lines = tail.count("\n", len(tail) - _LOOK if len(tail) > _LOOK else 0) >= 3
    spans = [match.span() for match in (_SEGMENT if lines else _SENTENCE).finditer(tail)]
    if finish_reason in LIMITS and not tail.rstrip().endswith(_ENDS):
        spans = spans[:-1]  # cut short
    segments = [tail[start:end] for start, end in spans]
    wanted = _wanted(finish_reason, 5, 7, 12)
    for lag in _LAGS:
        run = _alike(segments, lag)
        if run and run + lag >= wanted * lag:
            return _near(text, len(text) - len(tail) + spans[len(spans) - run - lag][0], (run + lag) / lag)
    return None


def _alike(segments: Sequence[str], lag: int) -> int:
    """How many segments at the end are nearly the one `lag` before. Rows of tables and blanks of forms do not count."""
    run = 0
    for i in range(len(segments) - 1, lag - 1, -1):
        one, other = segments[i], segments[i - lag]
        if len(one) < _LEAST_SEGMENT or _LAYOUT.match(one) or not ratio(one, other, score_cutoff=_ALIKE):
            break
        run += 1
    return run


def items(text: str, finish_reason: str | None) -> Near | None:
    """A list that comes back to the same few items, or that does not end."""
    look = text[-_LOOK:]
    if look.count(",") + look.count("\n") + look.count(";") < 12:
        return None
    start = max(0, len(text) - _TAIL)
    breaks = [start, *(match.end() for match in _ITEM_BREAK.finditer(text, start)), len(text)]
    seen: list[str] = []
    onset = len(text)
    for i in range(len(breaks) - 2, -1, -1):
        item = _MARKER.sub("", text[breaks[i] : breaks[i + 1]]).rstrip(",;\n. ").casefold()
        if not 0 < len(item.split()) <= _LONGEST_ITEM:
            break
        seen.append(item)
        onset = breaks[i]
    distinct = len(set(seen))
    repeated = len(seen) >= _wanted(finish_reason, 30, 40, 60) and distinct <= _MOST_DISTINCT * len(seen)
    if not repeated and not (finish_reason in LIMITS and len(seen) >= _RUNAWAY):
        return None
    return _near(text, onset, len(seen), "list")


def _wanted(finish_reason: str | None, at_limit: int, unknown: int, ended: int) -> int:
    return at_limit if finish_reason in LIMITS else unknown if finish_reason is None else ended


def _near(text: str, onset: int, repeats: float, kind: str = "near") -> Near:
    period = max(1, round((len(text) - onset) / repeats))
    return Near(kind, Repetition(onset=onset, period=period, repeats=round(repeats, 1)))
