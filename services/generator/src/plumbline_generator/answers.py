"""Answers of OpenAI-compatible servers, whole or in parts, as generations."""

from typing import Any

from openai.types import Completion
from openai.types.chat import ChatCompletion
from plumbline_contracts.generator import (
    Alternative,
    Decoding,
    FinishReason,
    Generation,
    GenerationRequest,
    TokenLogprob,
)

from .dialects import Dialect
from .failures import Refused
from .stopping import cut

Answer = Completion | ChatCompletion
_FULL = "The server ended the text before max_new_tokens, since its context is full or it has a limit of its own,"
_ENDS = {"length": FinishReason.LENGTH, "stop_sequence": FinishReason.STOP_STRING}


def read(answer: Answer, id: str, request: GenerationRequest, dialect: Dialect) -> Generation:
    """The one choice of an answer; Refused where it is not there or not counted."""
    if not answer.choices or answer.usage is None:
        raise Refused(f"The server's answer lacks a {'count of tokens' if answer.choices else 'choice'}.")
    choice: Any = answer.choices[0]
    written = choice.text if isinstance(answer, Completion) else said(choice.message)
    stopped_by = getattr(choice, dialect.stopped_by, None) if dialect.stopped_by else None
    raw_text = (written or "") + (stopped_by if isinstance(stopped_by, str) else "")
    text, stopped = cut(raw_text, request.decoding.stop)
    reason = FinishReason.STOP_STRING if stopped else _reason(choice.finish_reason, request.decoding, dialect)
    cause = f"The server ended it for {choice.finish_reason!r}." if reason == FinishReason.ERROR else None
    if reason == FinishReason.LENGTH and answer.usage.completion_tokens < request.decoding.max_new_tokens:
        reason, cause = FinishReason.ERROR, f"{_FULL} after {answer.usage.completion_tokens} tokens."
    return Generation(
        id=id,
        text=text,
        raw_text=raw_text,
        finish_reason=reason,
        prompt_tokens=answer.usage.prompt_tokens,
        completion_tokens=answer.usage.completion_tokens,
        cached_prompt_tokens=_cached(answer),
        prompt_sha256=None,
        loop=None,
        audited=False,
        logprobs=None if request.logprobs is None else _logprobs(choice.logprobs, request.logprobs),
        prompt_logprobs=_prompt_logprobs(choice, request.logprobs or 0) if request.prompt_logprobs else None,
        cause=cause,
    )


def said(message: Any) -> str | None:
    """Of a chat's message, or of a part of it; Refused where the server has taken apart what the model wrote."""
    if getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None):
        raise Refused("The server takes reasoning out of the text; start it without a reasoning parser.")
    content: str | None = message.content
    return content


def _reason(told: str, decoding: Decoding, dialect: Dialect) -> FinishReason:
    """Why a text ended that holds no stop string."""
    if told != "stop":
        return _ENDS.get(told, FinishReason.ERROR)  # a content filter, an abort
    # A server that cuts the stop string off and does not name it leaves it open; most often it was one.
    hidden = decoding.stop and dialect.stopped_by is None and not dialect.tells_stop
    return FinishReason.STOP_STRING if hidden else FinishReason.EOS


def _cached(answer: Answer) -> int | None:
    """As OpenAI tells it, or llama.cpp in its timings."""
    assert answer.usage is not None
    told = getattr(answer.usage.prompt_tokens_details, "cached_tokens", None)
    return told if told is not None else (getattr(answer, "timings", None) or {}).get("cache_n")


def _logprobs(told: Any, alternatives: int) -> list[TokenLogprob]:
    if told is None:
        raise Refused("The server's answer has no log-probabilities.")
    told = told.model_dump()
    if told.get("content") is not None:  # of a chat; llama.cpp tells those of a text like this, too
        return [
            _token(one["token"], one["logprob"], {o["token"]: o["logprob"] for o in one["top_logprobs"]}, alternatives)
            for one in told["content"]
        ]
    tops = told["top_logprobs"] or [{} for _ in told["tokens"]]
    each = zip(told["tokens"], told["token_logprobs"], tops, strict=True)
    return [_token(token, logprob, top or {}, alternatives) for token, logprob, top in each]


def _prompt_logprobs(choice: Any, alternatives: int) -> list[TokenLogprob]:
    """As vLLM tells them: for each token null or {id: {logprob, decoded_token}}, first the one of the prompt."""
    found = []
    for place in choice.prompt_logprobs or []:
        entries: list[dict[str, Any]] = list((place or {}).values())
        others = {entry["decoded_token"]: entry["logprob"] for entry in entries}
        first: dict[str, Any] = entries[0] if entries else {"decoded_token": "", "logprob": None}
        found.append(_token(first["decoded_token"], first["logprob"], others, alternatives))
    return found


def _token(token: str, logprob: float | None, others: dict[str, float], alternatives: int) -> TokenLogprob:
    best = sorted(others.items(), key=lambda other: -other[1])[:alternatives]
    return TokenLogprob(
        token=token, logprob=logprob, alternatives=[Alternative(token=name, logprob=value) for name, value in best]
    )
