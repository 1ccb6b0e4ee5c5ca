"""Tokens in /metrics: of prompts, which of them were computed, of completions, and saved with loops."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from plumbline_contracts import generator as contract
from plumbline_contracts.common import Info
from plumbline_contracts.generator import FinishReason, Generation, GenerationRequest
from plumbline_contracts.operations import Service
from prometheus_client import Counter

_PROMPT = Counter("plumbline_generator_prompt_tokens", "Of the prompts that were completed.")
# The hit rate is cached / (cached + computed): an engine that does not tell adds to neither.
_CACHED = Counter("plumbline_generator_cached_prompt_tokens", "Of these, not computed: other prompts begin the same.")
_COMPUTED = Counter("plumbline_generator_computed_prompt_tokens", "Of these, computed.")
_COMPLETION = Counter("plumbline_generator_completion_tokens", "Written.")
_SAVED = Counter("plumbline_generator_loop_tokens_saved", "Not written, since a loop was ended before its limit.")


class _Implementation(contract.Generator, Service, Protocol):
    """What an engine is."""


class Counted(contract.Generator):
    """An engine of which everything that it completes is counted."""

    def __init__(self, engine: _Implementation) -> None:
        self._engine = engine

    async def stream(self, request: GenerationRequest) -> AsyncGenerator[Generation | contract.Origin]:
        async with aclosing(self._engine.stream(request)) as results:
            async for result in results:
                if isinstance(result, Generation):
                    count(result)
                yield result

    async def models(self) -> contract.Models:
        return await self._engine.models()

    async def identity(self, model: str) -> contract.ModelIdentity:
        return await self._engine.identity(model)

    async def check(self) -> None:
        await self._engine.check()

    def info(self) -> Info:
        return self._engine.info()


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
