"""What is asked for in OpenAI's shape, as a request of the generator's contract."""

import secrets
from typing import Any

from plumbline_contracts import openai
from plumbline_contracts.common import Place
from plumbline_contracts.generator import GenerationRequest, Models
from plumbline_kit.errors import ProblemError
from pydantic import ValidationError

_TOKENS_OF_A_REPLY = 1024


def completion(asked: openai.CompletionRequest) -> GenerationRequest:
    """One prompt a choice. Without `max_tokens` one token is written nevertheless, and left out of the answer."""
    if asked.max_tokens == 0 and not asked.echo:
        raise _invalid("max_tokens", "0 goes with echo; ask for 1 or more")
    prompts = prompts_of(asked)
    by_tokens = isinstance(prompts[0], list)
    scored = asked.echo and (asked.logprobs is not None or by_tokens)  # the text of tokens is known from their scores
    return _request(
        asked,
        [{"tokens": one} if by_tokens else {"text": one} for one in prompts],
        16 if asked.max_tokens is None else max(1, asked.max_tokens),
        logprobs=(asked.logprobs or 0) if scored else asked.logprobs,
        prompt_logprobs=bool(scored),
    )


def prompts_of(asked: openai.CompletionRequest) -> list[str] | list[list[int]]:
    """Each prompt, also where there is only one."""
    prompt: Any = asked.prompt
    return [prompt] if isinstance(prompt, str) or isinstance(prompt[0], int) else prompt


def chat(asked: openai.ChatCompletionRequest, known: Models) -> GenerationRequest:
    if asked.top_logprobs is not None and not asked.logprobs:
        raise _invalid("top_logprobs", "it goes with logprobs")
    if None not in (asked.max_tokens, asked.max_completion_tokens):
        raise _invalid("max_tokens", "give it or max_completion_tokens")
    longest = next((one.context_length for one in known.models if one.name == asked.model), None)
    most = _TOKENS_OF_A_REPLY if longest is None else min(_TOKENS_OF_A_REPLY, max(1, longest // 2))
    messages = [
        {"role": "system" if one.role == "developer" else one.role, "content": _text(one.content)}
        for one in asked.messages
    ]
    return _request(
        asked,
        [{"messages": messages}],
        asked.max_completion_tokens or asked.max_tokens or most,
        logprobs=(asked.top_logprobs or 0) if asked.logprobs else None,
        prompt_logprobs=False,
    )


def _text(content: str | list[openai.TextPart]) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)


def _request(
    asked: openai.CompletionRequest | openai.ChatCompletionRequest,
    prompts: list[dict[str, Any]],
    most: int,
    *,
    logprobs: int | None,
    prompt_logprobs: bool,
) -> GenerationRequest:
    choices = asked.n or 1
    decoding = {
        "max_new_tokens": most,
        "temperature": 1.0 if asked.temperature is None else asked.temperature,
        "top_p": 1.0 if asked.top_p is None else asked.top_p,
        "top_k": max(0, asked.top_k or 0),
        "repetition_penalty": 1.0 if asked.repetition_penalty is None else asked.repetition_penalty,
        "stop": [asked.stop] if isinstance(asked.stop, str) else asked.stop or [],
        "seed": secrets.randbits(32) if asked.seed is None else asked.seed,
    }
    try:
        return GenerationRequest.model_validate(
            {
                "model": asked.model,
                # Random numbers are made from seed and id: every choice has its own.
                "prompts": [{"id": str(i * choices + k), **p} for i, p in enumerate(prompts) for k in range(choices)],
                "decoding": decoding,
                "logprobs": logprobs,
                "prompt_logprobs": prompt_logprobs,
            }
        )
    except ValidationError as error:
        fault = error.errors()[0]
        raise _invalid(".".join(map(str, fault["loc"])).removeprefix("decoding."), fault["msg"]) from error


def _invalid(name: str, fault: str) -> ProblemError:
    return ProblemError(422, "invalid-request", f"{name}: {fault}", errors=[Place(place=name, message=fault)])
