"""One chat completion of an OpenAI-compatible server: its text, or the cause why there is none."""

import asyncio
from dataclasses import dataclass
from typing import Any

from openai import APIError, APIStatusError, AsyncOpenAI, BadRequestError, UnprocessableEntityError
from openai.types.chat import ChatCompletion
from plumbline_contracts.judge import Unscored, UnscoredCause
from plumbline_kit.errors import ProblemError

from .rubrics import Messages
from .settings import Settings


@dataclass(frozen=True)
class Reply:
    """What the judge model wrote, and why it cannot be used, if so."""

    text: str | None
    fault: Unscored | None = None


class Batch:
    """What the items of one request share: an outage that one of them met spares the others the wait."""

    outage: Reply | None = None

    def raise_outage(self) -> None:
        """The problem `backend-unavailable`: the whole request is worth repeating, not so for one bad reply."""
        if self.outage is not None and self.outage.fault is not None:
            detail = f"The judge model's server is away: {self.outage.fault.detail}"
            raise ProblemError(503, "backend-unavailable", detail, retry_after=5)


class ChatCompletions:
    def __init__(self, settings: Settings) -> None:
        assert settings.model is not None
        self.settings, self.model = settings, settings.model
        self._structured = settings.structured != "off"
        self._slots = asyncio.Semaphore(settings.concurrency)
        self._client = AsyncOpenAI(
            base_url=settings.backend_url,
            api_key="none" if settings.api_key is None else settings.api_key.get_secret_value(),
            timeout=settings.timeout_seconds,
            max_retries=settings.retries,  # with backoff, after the time that Retry-After names
        )

    async def close(self) -> None:
        await self._client.close()

    async def check(self) -> None:
        """Return when the server lists its models; otherwise the problem `backend-unavailable`."""
        try:
            await self._client.with_options(max_retries=0, timeout=5).models.list()
        except (APIError, ValueError) as error:
            detail = f"The judge model's server does not answer GET /models: {_words(error)}"
            raise ProblemError(503, "backend-unavailable", detail, retry_after=5) from error

    async def ask(self, messages: Messages, schema: dict[str, Any], batch: Batch) -> Reply:
        """The reply, or the cause why there is none; never raises for what the server did."""
        async with self._slots:
            if batch.outage is not None:
                return batch.outage
            try:
                return _read(await self._complete(messages, schema))
            except (APIError, ValueError) as error:
                reply = _failed(error)
                if _may_pass(error) and not await self._answers():
                    batch.outage = reply
                return reply

    async def _answers(self) -> bool:
        try:
            await self.check()
        except ProblemError:
            return False
        return True

    async def _complete(self, messages: Messages, schema: dict[str, Any]) -> Any:
        if not self._structured:
            return await self._create(messages)
        constrained = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema, "strict": True}}
        try:
            return await self._create(messages, response_format=constrained)
        except (BadRequestError, UnprocessableEntityError):
            if self.settings.structured == "json_schema":
                raise
        completion = await self._create(messages)
        self._structured = False  # it was the constraint that the server refused, so it need not be tried again
        return completion

    async def _create(self, messages: Messages, **options: Any) -> Any:
        return await self._client.chat.completions.create(
            model=self.model,
            messages=messages,
            temperature=self.settings.temperature,
            max_tokens=self.settings.max_tokens,
            **options,
        )


def _read(completion: Any) -> Reply:
    if not isinstance(completion, ChatCompletion) or not completion.choices:
        return _without(UnscoredCause.BACKEND_UNAVAILABLE, f"no chat completion: {str(completion)[:200]!r}")
    choice = completion.choices[0]
    text = choice.message.content
    if choice.message.refusal or choice.finish_reason == "content_filter":
        return _without(UnscoredCause.BACKEND_REFUSED, choice.message.refusal or "stopped by a content filter", text)
    if choice.finish_reason == "length":
        return _without(UnscoredCause.TRUNCATED_REPLY, "the reply was cut off at JUDGE_MAX_TOKENS", text)
    return Reply(text)


def _failed(error: Exception) -> Reply:
    cause = UnscoredCause.BACKEND_UNAVAILABLE if _may_pass(error) else UnscoredCause.BACKEND_REFUSED
    return _without(cause, _words(error))


def _may_pass(error: Exception) -> bool:
    """What the client retries, and broken bodies; any other status is the server's refusal."""
    return not isinstance(error, APIStatusError) or error.status_code in {408, 409, 429} or error.status_code >= 500


def _without(cause: UnscoredCause, detail: str, text: str | None = None) -> Reply:
    return Reply(text, Unscored(cause=cause, detail=detail[:500]))


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error.__cause__ or error}"
