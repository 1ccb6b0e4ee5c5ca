"""A judge model behind an OpenAI-compatible server, as chat or as plain completion."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from plumbline_contracts.judge import UnscoredCause
from plumbline_kit.errors import ProblemError

from .backend import Reply, Token, outage, without
from .prompts import Messages
from .server import Failure, Refused, Server, may_pass
from .settings import Settings

Options = dict[str, Any]
_NOT_UNDERSTOOD = frozenset({400, 422})
_NO_KEY, _NOT_ALLOWED = 401, 403  # the second may be about one text: some hosts refuse what they find offensive
_MOST_LOGPROBS = {"chat": 20, "completions": 5}  # what OpenAI's own server allows


class OpenAIServer:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._path = "/chat/completions" if settings.api == "chat" else "/completions"
        self._offers = list(_offers(settings))  # what may be asked for, most first; what was refused is dropped
        self._settled = False
        self._server = Server(settings)

    async def close(self) -> None:
        await self._server.close()

    async def check(self) -> None:
        try:
            await self._server.get("/models")
        except Failure as error:
            raise _problem(error) from error

    async def complete(self, messages: Messages, schema: dict[str, Any]) -> Reply:
        try:
            return _read(await self._negotiated(messages, schema))
        except Failure as error:
            cause = UnscoredCause.BACKEND_UNAVAILABLE if may_pass(error) else UnscoredCause.BACKEND_REFUSED
            return replace(without(cause, _words(error)), outage=await self._outage(error))

    async def _outage(self, error: Exception) -> ProblemError | None:
        status = error.status if isinstance(error, Refused) else None
        if status == _NO_KEY:
            return _problem(error)
        return await outage(self) if may_pass(error) or status == _NOT_ALLOWED else None

    async def _negotiated(self, messages: Messages, schema: dict[str, Any]) -> Any:
        """Until a first call has succeeded, a refused one may mean that the server lacks an option: less is tried."""
        offers = self._offers if self._settled else list(self._offers)
        for number, offer in enumerate(offers):
            try:
                answer = await self._create(messages, schema, *offer)
            except Refused as error:
                if self._settled or number == len(offers) - 1 or error.status not in _NOT_UNDERSTOOD:
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
        return await self._server.post(self._path, body)


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


def _problem(error: Exception) -> ProblemError:
    if isinstance(error, Refused) and error.status in {_NO_KEY, _NOT_ALLOWED}:
        detail = f"The judge model's server refuses JUDGE_API_KEY: {_words(error)}"
        return ProblemError(503, "backend-refused", detail, retry_after=30)
    return ProblemError(503, "backend-unavailable", f"The judge model's server is away: {_words(error)}", retry_after=5)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}".rstrip(": ")
