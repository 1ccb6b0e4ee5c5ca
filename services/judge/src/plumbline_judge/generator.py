"""A judge model that a generator of ours runs, in place of an inference server."""

from dataclasses import replace
from typing import Any

from plumbline_contracts import generator
from plumbline_contracts.generator import FinishReason
from plumbline_contracts.judge import UnscoredCause
from plumbline_kit.client import ServiceClient, is_transient
from plumbline_kit.errors import ProblemError

from .backend import Reply, outage, without
from .completions import as_text
from .prompts import Messages
from .settings import Settings


class GeneratorService:
    """Its contract has neither structured output nor token probabilities: replies are parsed, without confidence."""

    def __init__(self, settings: Settings) -> None:
        assert settings.model is not None  # see settings.py
        self._settings, self._model = settings, settings.model
        self._decoding = generator.Decoding(max_new_tokens=settings.max_tokens, temperature=settings.temperature)

    def _client(self, timeout: float, attempts: int) -> ServiceClient:
        url, token = self._settings.backend_url or "", self._settings.api_key or self._settings.token
        return ServiceClient(url, token, timeout=timeout, attempts=attempts)

    async def close(self) -> None:
        """Nothing stays open between calls."""

    async def check(self) -> None:
        try:
            async with self._client(timeout=5, attempts=1) as client:
                await client.send("GET", "/readyz")
        except ProblemError as error:
            detail = f"The judge model's generator is not ready: {error.detail}"
            raise ProblemError(503, "backend-unavailable", detail, retry_after=5) from error

    async def complete(self, messages: Messages, schema: dict[str, Any]) -> Reply:
        prompts = [self._prompt(messages)]
        request = generator.GenerationRequest(model=self._model, prompts=prompts, decoding=self._decoding)
        try:
            async with self._client(self._settings.timeout_seconds, self._settings.retries + 1) as client:
                answer = await client.call("POST", "/v1/generations", generator.GenerationResponse, request)
        except ProblemError as error:
            passing = is_transient(error) or error.status >= 500
            cause = UnscoredCause.BACKEND_UNAVAILABLE if passing else UnscoredCause.BACKEND_REFUSED
            return replace(without(cause, error.detail), outage=await outage(self) if passing else None)
        return _read(answer.generations[0])

    def _prompt(self, messages: Messages) -> generator.Prompt:
        if self._settings.api == "completions":
            return generator.Prompt(id="judgment", text=as_text(messages))
        return generator.Prompt(id="judgment", messages=[generator.Message.model_validate(one) for one in messages])


def _read(generation: generator.Generation) -> Reply:
    match generation.finish_reason:
        case FinishReason.ERROR | FinishReason.CANCELLED:
            return without(UnscoredCause.BACKEND_REFUSED, generation.cause or f"it was {generation.finish_reason}")
        case FinishReason.LENGTH | FinishReason.LOOP:
            detail = "the reply was cut off at JUDGE_MAX_TOKENS, or repeats itself"
            return without(UnscoredCause.TRUNCATED_REPLY, detail, generation.text)
    return Reply(generation.text)
