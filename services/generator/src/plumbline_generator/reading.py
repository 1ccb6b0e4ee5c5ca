"""A text that an inference server streams: when to stop reading it."""

import asyncio

from plumbline_contracts.generator import Decoding, FinishReason, Loop

from .loops import LoopSearch, audited
from .stopping import cut
from .telling import Telling

_LONGEST_STOP = 200


def moment(deadline_seconds: float | None) -> float | None:
    """The deadline of a request that comes now, by the clock of the event loop."""
    return None if deadline_seconds is None else asyncio.get_running_loop().time() + deadline_seconds


class Reading:
    """What was read so far. `sha256` is of the prompt: the audit of loops chooses by it."""

    def __init__(self, decoding: Decoding, sha256: str, telling: Telling | None = None) -> None:
        self._telling = telling
        rule, self.sha256 = decoding.stop_loops, sha256
        self.text, self.tokens, self.most_tokens = "", 0, decoding.max_new_tokens
        self.audited = rule is not None and audited(sha256, rule.audit_share)
        self._decoding, self._search = decoding, None if rule is None else LoopSearch(rule)

    def read(self, token: str) -> FinishReason | None:
        """Take one token more; the reason to stop reading, where the server goes on."""
        tail = self.text[-_LONGEST_STOP:] + token
        self.text += token
        self.tokens += 1
        if self._telling is not None:
            self._telling.read(token)
        if cut(tail, self._decoding.stop)[1]:
            return FinishReason.STOP_STRING
        if self._search is not None and self._search.read(token) and not self.audited:
            return FinishReason.LOOP
        return None

    def loop(self, reason: FinishReason) -> Loop | None:
        """With `stop_loops`, where the text became one."""
        if self._search is None or self._search.found is None:
            return None
        saved = self.most_tokens - self.tokens if reason == FinishReason.LOOP else 0
        return self._search.found.record(saved)
