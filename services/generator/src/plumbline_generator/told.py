"""What was generated, in OpenAI's shape."""

from collections.abc import Iterable, Sequence

from plumbline_contracts import openai
from plumbline_contracts.generator import Alternative, FinishReason, Generation, TokenLogprob
from plumbline_kit.errors import ProblemError

from .failures import TooLongPrompt
from .telling import Part


def finish_reason(one: Generation) -> openai.FinishReason:
    """OpenAI's API has no place for a prompt that failed beside others that did not, so it fails all of them."""
    if one.finish_reason == FinishReason.ERROR:
        kind = "context-length-exceeded" if isinstance(one, TooLongPrompt) else "cannot-complete"
        raise ProblemError(422, kind, f"Prompt {one.id}: {one.cause}")
    if one.finish_reason == FinishReason.CANCELLED:
        raise ProblemError(503, "shutting-down", "The text could not be finished; ask again.", retry_after=1)
    return "length" if one.finish_reason == FinishReason.LENGTH else "stop"


def completion_choice(
    asked: openai.CompletionRequest, prompt: str | list[int], one: Generation
) -> openai.CompletionChoice:
    reason = finish_reason(one)
    empty = asked.max_tokens == 0
    before = (one.prompt_logprobs or []) if asked.echo else []
    written = [] if empty else one.logprobs or []
    text = "" if empty else one.text
    if asked.echo:
        text = (prompt if isinstance(prompt, str) else "".join(token.token for token in before)) + text
    return openai.CompletionChoice(
        index=int(one.id),
        text=text,
        logprobs=None if asked.logprobs is None else _logprobs([*before, *written], asked.logprobs),
        finish_reason="length" if empty else reason,
    )


def completion_part(one: Part) -> openai.CompletionChoice:
    return openai.CompletionChoice(index=int(one.id), text=one.text, logprobs=None, finish_reason=None)


def _logprobs(tokens: Sequence[TokenLogprob], most: int) -> openai.CompletionLogprobs:
    offsets = [0]
    for one in tokens:
        offsets.append(offsets[-1] + len(one.token))
    return openai.CompletionLogprobs(
        tokens=[one.token for one in tokens],
        token_logprobs=[one.logprob for one in tokens],
        top_logprobs=[_top(one) if most else None for one in tokens],
        text_offset=offsets[:-1],
    )


def _top(one: TokenLogprob) -> dict[str, float] | None:
    """The most probable tokens, and the one that stands there, as OpenAI has it."""
    if one.logprob is None:
        return None
    return {other.token: other.logprob for other in reversed(one.alternatives)} | {one.token: one.logprob}


def message(one: Generation) -> openai.AssistantMessage:
    return openai.AssistantMessage(role="assistant", content=one.text, refusal=None)


def chunk(one: Part | Generation, text: str, *, first: bool) -> openai.ChunkChoice:
    """Of a choice of a chat: its role stands in the first, since clients add up what they get."""
    return openai.ChunkChoice(
        index=int(one.id),
        delta=openai.ChatDelta(role="assistant" if first else None, content=text, refusal=None),
        logprobs=chat_logprobs(one) if isinstance(one, Generation) else None,
        finish_reason=finish_reason(one) if isinstance(one, Generation) else None,
    )


def chat_logprobs(one: Generation) -> openai.ChatLogprobs | None:
    if one.logprobs is None:
        return None
    content = [
        openai.ChatTokenLogprob(
            token=each.token,
            logprob=each.logprob,
            bytes=list(each.token.encode()),
            top_logprobs=[_alternative(other) for other in each.alternatives],
        )
        for each in one.logprobs
        if each.logprob is not None
    ]
    return openai.ChatLogprobs(content=content, refusal=None)


def _alternative(one: Alternative) -> openai.ChatTopLogprob:
    return openai.ChatTopLogprob(token=one.token, logprob=one.logprob, bytes=list(one.token.encode()))


def usage(generations: Iterable[Generation], choices: int, *, written: bool = True) -> openai.Usage:
    """A prompt counts once, however many choices it has."""
    every = list(generations)
    firsts = [one for one in every if int(one.id) % choices == 0]
    prompts = sum(one.prompt_tokens for one in firsts)
    completions = sum(one.completion_tokens for one in every) if written else 0
    told = [one.cached_prompt_tokens for one in firsts]
    cached = None if None in told else sum(one or 0 for one in told)
    return openai.Usage(
        prompt_tokens=prompts,
        completion_tokens=completions,
        total_tokens=prompts + completions,
        prompt_tokens_details=None if cached is None else openai.PromptTokensDetails(cached_tokens=cached),
    )
