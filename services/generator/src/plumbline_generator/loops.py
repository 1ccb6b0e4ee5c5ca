"""Texts that have become a loop: whether one is ended for it, and where it began."""

from typing import NamedTuple

from plumbline_contracts.generator import Loop, StopLoops
from plumbline_contracts.periodicity import LoopRule, loop_of


def audited(sha256: str, share: float) -> bool:
    """Whether the prompt whose rendered text has this digest is one of the share that is let run."""
    return int(sha256[:16], 16) < share * 2**64


class Found(NamedTuple):
    """In characters of the text: where the repetition begins, its length, where the rule was met."""

    onset: int
    period: int
    met_at: int

    def record(self, tokens_saved: int) -> Loop:
        return Loop(onset=self.onset, period=self.period, met_at=self.met_at, tokens_saved=tokens_saved)


class LoopSearch:
    """Reads a text as it grows. `found` is the first loop, and stays what it is."""

    def __init__(self, rule: StopLoops) -> None:
        self._rule = LoopRule(rule.min_repeats, rule.min_characters)
        self._text = ""
        self.found: Found | None = None

    def read(self, more: str) -> bool:
        """Whether the text is, or has been, a loop: with all of `more`, as a token that is written is written whole."""
        if self.found is None and more:
            self._text += more
            if (loop := loop_of(self._text, self._rule)) is not None:
                self.found = Found(len(self._text) - loop.covered, loop.period, len(self._text))
        return self.found is not None
