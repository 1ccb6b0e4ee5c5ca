"""Tokens in /metrics: of prompts, which of them were computed, of completions, and saved with loops."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from plumbline_contracts import generator as contract
from plumbline_contracts.generator import FinishReason, Generation, GenerationRequest
from prometheus_client import Counter

from .around import Around
from .telling import Tell

_PROMPT = Counter("plumbline_generator_prompt_tokens", "Of the prompts that were completed.")
# The hit rate is cached / (cached + computed): an engine that does not tell adds to neither.
_CACHED = Counter("plumbline_generator_cached_prompt_tokens", "Of these, not computed: other prompts begin the same.")
_COMPUTED = Counter("plumbline_generator_computed_prompt_tokens", "Of these, computed.")
_COMPLETION = Counter("plumbline_generator_completion_tokens", "Written.")
_SAVED = Counter("plumbline_generator_loop_tokens_saved", "Not written, since a loop was ended before its limit.")


class Counted(Around):
    """An engine of which everything that it completes is counted."""

    async def stream(
        self, request: GenerationRequest, tell: Tell | None = None
    ) -> AsyncGenerator[Generation | contract.Origin]:
        async with aclosing(self._engine.stream(request, tell)) as results:
            async for result in results:
                if isinstance(result, Generation):
                    count(result)
                yield result


def count(one: Generation) -> None:
    if one.finish_reason == FinishReason.ERROR:  # mostly a prompt that was not begun
        return
    _PROMPT.inc(one.prompt_tokens)
    if one.cached_prompt_tokens is not None:
        _CACHED.inc(one.cached_prompt_tokens)
        _COMPUTED.inc(one.prompt_tokens - one.cached_prompt_tokens)
    _COMPLETION.inc(one.completion_tokens)
    if one.loop is not None and one.finish_reason == FinishReason.LOOP:
        _SAVED.inc(one.loop.tokens_saved)
