"""A judge model behind an OpenAI-compatible server, as chat or as plain completion."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from openai import (
    APIError,
    APIStatusError,
    AsyncOpenAI,
    BadRequestError,
    DefaultAioHttpClient,
    UnprocessableEntityError,
)
from plumbline_contracts.judge import UnscoredCause
from plumbline_kit.errors import ProblemError

from .backend import Reply, Token, answers, without
from .prompts import Messages
from .settings import Settings

Options = dict[str, Any]
_MOST_LOGPROBS = {"chat": 20, "completions": 5}  # what OpenAI's own server allows


class OpenAIServer:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._path = "/chat/completions" if settings.api == "chat" else "/completions"
        self._offers = list(_offers(settings))  # what may be asked for, most first; what was refused is dropped
        self._settled = False
        self._client = AsyncOpenAI(
            base_url=settings.backend_url,
            api_key="none" if settings.api_key is None else settings.api_key.get_secret_value(),
            timeout=settings.timeout_seconds,
            max_retries=settings.retries,  # with backoff, after the time that Retry-After names
            http_client=DefaultAioHttpClient(),  # a fraction of the processor time of the other
        )

    async def close(self) -> None:
        await self._client.close()

    async def check(self) -> None:
        try:
            await self._client.with_options(max_retries=0, timeout=5).models.list()
        except (APIError, ValueError) as error:
            detail = f"The judge model's server does not answer GET /models: {_words(error)}"
            raise ProblemError(503, "backend-unavailable", detail, retry_after=5) from error

    async def complete(self, messages: Messages, schema: dict[str, Any]) -> Reply:
        try:
            return _read(await self._negotiated(messages, schema))
        except (APIError, ValueError) as error:
            cause = UnscoredCause.BACKEND_UNAVAILABLE if _may_pass(error) else UnscoredCause.BACKEND_REFUSED
            away = _may_pass(error) and not await answers(self)
            return replace(without(cause, _words(error)), outage=away)

    async def _negotiated(self, messages: Messages, schema: dict[str, Any]) -> Any:
        """Until a first call has succeeded, a refused one may mean that the server lacks an option: less is tried."""
        offers = self._offers if self._settled else list(self._offers)
        for number, offer in enumerate(offers):
            try:
                answer = await self._create(messages, schema, *offer)
            except (BadRequestError, UnprocessableEntityError):
                if self._settled or number == len(offers) - 1:
                    raise
            else:
                if not self._settled:
                    self._offers, self._settled = [offer], True
                return answer
        raise AssertionError("there is always something to ask for")

    async def _create(self, messages: Messages, schema: dict[str, Any], structured: str, logprobs: int) -> Any:
        body: Options = {
            "model": self.settings.model,
            "temperature": self.settings.temperature,
            "max_tokens": self.settings.max_tokens,
            **_constrained(structured, schema),
        }
        if self.settings.api == "chat":
            body |= {"messages": messages} | ({"logprobs": True, "top_logprobs": logprobs} if logprobs else {})
        else:
            body |= {"prompt": as_text(messages)} | ({"logprobs": logprobs} if logprobs else {})
        # As it is: the client would make objects of every token's alternatives, which takes longer than all else.
        return await self._client.post(self._path, cast_to=object, body=body)


def _offers(settings: Settings) -> Iterator[tuple[str, int]]:
    structured = {"auto": ["json_schema", "structured_outputs", "off"]}.get(settings.structured, [settings.structured])
    logprobs = min(settings.top_logprobs, _MOST_LOGPROBS[settings.api])
    for one in structured:
        yield from ((one, count) for count in dict.fromkeys([logprobs, 0]))


def _constrained(structured: str, schema: dict[str, Any]) -> Options:
    if structured == "json_schema":
        form = {"name": "verdict", "schema": schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": form}}
    return {"structured_outputs": {"json": schema}} if structured == "structured_outputs" else {}  # vLLM 0.12 and newer


def as_text(messages: Messages) -> str:
    """For a server, or a model, without a chat template."""
    return "\n\n".join([*(message["content"].strip() for message in messages), "JSON:\n"])


def _read(answer: Any) -> Reply:
    try:
        choice = answer["choices"][0]
        message = choice.get("message") or {}
        text, refusal = choice.get("text", message.get("content")), message.get("refusal")
        finished, tokens = choice.get("finish_reason"), list(_tokens(choice.get("logprobs") or {}))
        if not (text is None or isinstance(text, str)):
            raise TypeError(f"the text is {text!r}")
    except (LookupError, TypeError, AttributeError, ValueError):
        return without(UnscoredCause.BACKEND_UNAVAILABLE, f"no completion: {str(answer)[:200]!r}")
    if refusal or finished == "content_filter":
        return without(UnscoredCause.BACKEND_REFUSED, str(refusal or "stopped by a content filter"), text)
    if finished == "length":
        return without(UnscoredCause.TRUNCATED_REPLY, "the reply was cut off at JUDGE_MAX_TOKENS", text)
    return Reply(text, tokens=tokens)


def _tokens(logprobs: dict[str, Any]) -> Iterator[Token]:
    """Of a chat (`content`, each with `top_logprobs`) or of a plain completion (`tokens` and `top_logprobs` apart)."""
    for one in logprobs.get("content") or []:
        written = one["token"].encode() if one.get("bytes") is None else bytes(one["bytes"])
        yield Token(written, [(other["token"], other["logprob"]) for other in one.get("top_logprobs") or []])
    likely = logprobs.get("top_logprobs") or []
    for text, others in zip(logprobs.get("tokens") or [], likely, strict=False):
        yield Token(text.encode(), list((others or {}).items()))


def _may_pass(error: Exception) -> bool:
    """What the client retries, and broken bodies; any other status is the server's refusal."""
    return not isinstance(error, APIStatusError) or error.status_code in {408, 409, 429} or error.status_code >= 500


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error.__cause__ or error}"
