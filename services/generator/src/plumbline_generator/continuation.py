"""What one prompt is continued with, token by token: where it ends, and what comes of it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from plumbline_contracts.generator import (
    FinishReason,
    Generation,
    GenerationRequest,
    Prompt,
    TokenLogprob,
    sha256_of,
)
from torch import Tensor

from .encoding import rendered
from .failures import failed
from .logprobs import token_logprobs
from .loops import LoopSearch, audited
from .stopping import StopSearch, cut
from .telling import Tell, Telling
from .weights import LoadedModel
from .written import CertainReader, TextReader, written_text


@dataclass
class Work:
    """What belongs together: `done` gets each result, in another thread; `ends` is a time of the monotonic clock."""

    done: Callable[[Generation], None]
    ends: float = float("inf")
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def over(self) -> bool:
        return self.cancelled.is_set() or time.monotonic() > self.ends


class Continuation:
    """`before` are the prompt's tokens, `tokens` those written: the end token, and those of a stop string, included."""

    def __init__(
        self,
        loaded: LoadedModel,
        request: GenerationRequest,
        prompt: Prompt,
        before: list[int],
        tell: Tell | None = None,
    ) -> None:
        self.request, self.prompt, self.before = request, prompt, before
        self.tokens: list[int] = []
        self.cached: int | None = None
        self.reason: FinishReason | None = None
        self.logprobs: list[TokenLogprob] | None = None if request.logprobs is None else []
        self.prompt_logprobs: list[TokenLogprob] | None = [] if request.prompt_logprobs else None
        self._loaded, self._stop, self._most = loaded, request.decoding.stop, request.decoding.max_new_tokens
        text = None if prompt.tokens is not None else rendered(loaded, request, prompt)
        digest = sha256_of(repr(before) if text is None else text)
        self._sha256 = None if text is None else digest
        rule = request.decoding.stop_loops
        self._stops = StopSearch(self._stop) if self._stop else None
        self._loops = None if rule is None else LoopSearch(rule)
        self.audited = rule is not None and audited(digest, rule.audit_share)
        self._reader = TextReader(loaded.tokenizer, before) if self._stops or self._loops else None
        self._tell = None if tell is None else self._telling(tell)

    def push(self, token: int) -> bool:
        """Write one token more; whether that was the last."""
        self.tokens.append(token)
        more, open = ("", "") if self._reader is None else (self._reader.read(token), self._reader.open)
        if token in self._loaded.eos:
            self.reason = FinishReason.EOS
        elif self._stops is not None and self._stops.read(more, open):
            self.reason = FinishReason.STOP_STRING
        elif self._loops is not None and self._loops.read(more) and not self.audited:
            self.reason = FinishReason.LOOP
        elif len(self.tokens) == self._most:
            self.reason = FinishReason.LENGTH
        elif self._tell is not None:
            self._tell(token)
        return self.reason is not None

    def note(self, logits: Tensor, tokens: list[int]) -> None:
        """Log-probabilities of these tokens, written next, where they are asked for."""
        if self.logprobs is not None and self.request.logprobs is not None:
            self.logprobs += token_logprobs(self._loaded.pieces, logits, tokens, self.request.logprobs)

    def note_prompt(self, logits: Tensor, tokens: list[int]) -> None:
        """The same of tokens of the prompt, from its second on."""
        if self.prompt_logprobs is not None and self.request.logprobs is not None:
            if not self.prompt_logprobs:
                first = self._loaded.pieces[self.before[0]]
                self.prompt_logprobs.append(TokenLogprob(token=first, logprob=None, alternatives=[]))
            self.prompt_logprobs += token_logprobs(self._loaded.pieces, logits, tokens, self.request.logprobs)

    def generation(self) -> Generation:
        """The result; what has not ended by itself was cancelled."""
        # A model's settings may name further end tokens than its tokenizer; like the tokenizer's, they are no text.
        ended = self.tokens and self.tokens[-1] in self._loaded.eos
        raw_text = written_text(self._loaded.tokenizer, self.before, self.tokens[:-1] if ended else self.tokens)
        text, stopped = cut(raw_text, self._stop)
        found = None if self._loops is None else self._loops.found
        saved = self._most - len(self.tokens) if self.reason == FinishReason.LOOP else 0
        return Generation(
            id=self.prompt.id,
            text=text,
            raw_text=raw_text,
            finish_reason=FinishReason.STOP_STRING if stopped else self.reason or FinishReason.CANCELLED,
            prompt_tokens=len(self.before),
            completion_tokens=len(self.tokens),
            cached_prompt_tokens=self.cached,
            prompt_sha256=self._sha256,
            loop=None if found is None else found.record(saved),
            audited=self.audited,
            logprobs=self.logprobs,
            prompt_logprobs=self.prompt_logprobs,
            cause=None,
        )

    def failure(self, cause: str) -> Generation:
        return failed(self.prompt.id, len(self.before), cause)

    def _telling(self, tell: Tell) -> Callable[[int], None]:
        certain = CertainReader(self._loaded.tokenizer, self.before)
        telling = Telling(tell, self.prompt.id, self._stop)
        return lambda token: telling.read(certain.read(token))
