"""A batch that runs as long as there are prompts: rows leave when they end, and waiting prompts come in their place."""

import logging
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from .continuation import Continuation, Work
from .forward import SharedForward, highest
from .passes import EMPTY, Prefix, Tails
from .prefixes import Prefixes
from .sampling import Choice, choose

log = logging.getLogger(__name__)

_PREFILL = 2048  # tokens of prompts that come in, between two steps of those under way
_SCORED = 256  # tokens of a prompt whose logits are held at a time


class Row:
    """A prompt on its way. `shared` of its tokens are known to begin other prompts, too."""

    def __init__(self, work: Work, continuation: Continuation, shared: int) -> None:
        self.work, self.continuation, self.shared = work, continuation, shared
        decoding = continuation.request.decoding
        self.choice = Choice.of(decoding, continuation.prompt.id, continuation.before)
        self.is_greedy = self.choice is None and continuation.logprobs is None  # only the likeliest token is wanted
        self.places = len(continuation.before) + decoding.max_new_tokens  # beyond its prefix, at most
        self.prefix: Prefix = EMPTY
        self.written = 0  # places of its tail that are filled

    @property
    def suffix(self) -> list[int]:
        """Beyond its prefix, without the last token, which is the first that a step takes."""
        return self.continuation.before[len(self.prefix) : -1]

    @property
    def last(self) -> int:
        return (self.continuation.tokens or self.continuation.before)[-1]

    def stand_behind(self, prefix: Prefix, computed: int) -> None:
        self.prefix = prefix
        self.places -= len(prefix)
        self.written = len(self.suffix)
        self.continuation.cached = len(prefix) - computed


class Batch:
    """Rows of several requests, at most `most_rows` of them and `most_bytes` of their keys and values at a time."""

    def __init__(self, forward: SharedForward, *, most_rows: int, most_bytes: int) -> None:
        self._forward, self._most_rows = forward, most_rows
        self._most_places = most_bytes * 3 // 4 // forward.shape.bytes_per_token
        self._prefixes = Prefixes(forward, most_bytes // 4)
        self._tails = Tails(forward.shape, forward.device)
        self._waiting: deque[Row] = deque()
        self._rows: list[Row] = []
        self._lock = threading.Lock()
        self._running = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batch")

    def submit(self, rows: Sequence[Row]) -> None:
        with self._lock:
            self._waiting.extend(rows)
            if rows and not self._running:
                self._running = True
                self._thread.submit(self._run)

    @torch.inference_mode()
    def _run(self) -> None:
        while self._more():
            try:
                self._drop([row for row in self._rows if row.work.over])
                self._enter()
                self._advance()
            except Exception as error:  # out of memory, for one: these rows fail, later ones may fit
                log.exception("a batch failed")
                failed, self._rows = self._rows, []
                for row in failed:
                    row.work.done(row.continuation.failure(f"{type(error).__name__}: {error}"))

    def _more(self) -> bool:
        with self._lock:
            self._running = bool(self._rows or self._waiting)
        if not self._running:
            self._tails = Tails(self._forward.shape, self._forward.device)
        return self._running

    def _enter(self) -> None:
        """Let waiting prompts in as far as there is room."""
        entering: list[Row] = []
        first = len(self._rows)
        while self._waiting and len(self._rows) < self._most_rows and sum(row.written for row in entering) < _PREFILL:
            row = self._waiting.popleft()
            if row.work.over:
                row.work.done(row.continuation.generation())
                continue
            self._rows.append(row)  # from here on it fails with the others
            if not row.prefix and not row.written:
                row.stand_behind(*self._prefix_of(row))
            if len(self._rows) > 1 and len(self._rows) * max(each.places for each in self._rows) > self._most_places:
                self._waiting.appendleft(self._rows.pop())
                break
            entering.append(row)
        if entering:
            self._tails.reserve(len(self._rows), max(row.written for row in entering) + 1)
            self._forward.enter(self._tails, first, [(row.prefix, row.suffix) for row in entering])

    def _prefix_of(self, row: Row) -> tuple[Prefix, int]:
        before = row.continuation.before
        if row.continuation.prompt_logprobs is None:
            return self._prefixes.of(before, row.shared)
        prefix = EMPTY  # each of its tokens is looked at, so none may be left out
        for start in range(0, len(before) - 1, _SCORED):
            tokens = before[start : min(start + _SCORED, len(before) - 1)]
            prefix, logits = self._forward.extended(prefix, tokens)
            row.continuation.note_prompt(logits, before[start + 1 : start + 1 + len(tokens)])
        return prefix, len(prefix)

    def _advance(self) -> None:
        if not self._rows:
            return
        written = [row.written for row in self._rows]
        self._tails.reserve(len(self._rows), max(written) + 1)
        tokens = [row.last for row in self._rows]
        step = self._tails, [row.prefix for row in self._rows], written, tokens
        if all(row.is_greedy for row in self._rows):
            chosen = self._forward.likeliest(*step)
        else:
            chosen = _chosen(self._rows, self._forward.advance(*step))
        for row in self._rows:
            row.written += 1
        self._drop([row for row, token in zip(self._rows, chosen, strict=True) if row.continuation.push(token)])

    def _drop(self, rows: Sequence[Row]) -> None:
        for row in rows:
            place, last = self._rows.index(row), len(self._rows) - 1
            if place < last:
                self._tails.move(last, place, self._rows[last].written)
                self._rows[place] = self._rows[last]
            self._rows.pop()
            row.work.done(row.continuation.generation())


def _chosen(rows: Sequence[Row], logits: Tensor) -> list[int]:
    """The next token of each row, noted where its log-probabilities are asked for."""
    chosen = choose({place: row.choice for place, row in enumerate(rows) if row.choice is not None}, logits)
    if len(chosen) < len(rows):
        chosen = dict(enumerate(highest(logits))) | chosen
    for place, row in enumerate(rows):
        row.continuation.note(logits[place][None], [chosen[place]])
    return [chosen[place] for place in range(len(rows))]
