"""What cannot be completed: a prompt alone, which is a result with its cause, or the whole request."""

import re

from plumbline_contracts.generator import FinishReason, Generation, GenerationRequest
from plumbline_kit.errors import ProblemError

PREFIX_WITH_MESSAGES = "A prefix goes before texts, not before chat messages or tokens."


class Refused(Exception):
    """This prompt cannot be completed by this model; the message is the cause."""


class TooLong(Refused):
    """It and what is to be written are more tokens than the model's context holds."""


class TooLongPrompt(Generation):
    """The result of a prompt that is TooLong: the contract has no field that tells it from other errors."""


# Of OpenAI and those that have its code, of llama.cpp, vLLM, SGLang and TGI.
_SAYS_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context_size|available context size|(maximum|model's) context length"
    r"|`inputs` tokens \+ `max_new_tokens` must be|`inputs` must have less than"
)


def refused_by_server(said: str, answer: object = None) -> Refused:
    """What a server refused with `said`, out of an `answer` that may have a code for it."""
    kind = TooLong if _SAYS_TOO_LONG.search(f"{said} {answer}") else Refused
    return kind(f"The server answered {said}")


def refuse_what_it_cannot(request: GenerationRequest, engine: str, *features: str) -> None:
    """Raise `unsupported-decoding` for what `engine` would leave out. `features` are those that it has."""
    asked = {
        "logprobs": request.logprobs is not None,
        "prompt_logprobs": request.prompt_logprobs,
        "stop_loops": request.decoding.stop_loops is not None,
        "deadline_seconds": request.deadline_seconds is not None,
        "tokens": any(prompt.tokens is not None for prompt in request.prompts),
    }
    if missing := [name for name, wanted in asked.items() if wanted and name not in features]:
        detail = f"{', '.join(missing)}: nothing that {engine} can do; leave it out."
        raise ProblemError(422, "unsupported-decoding", detail)


def failed(id: str, prompt_tokens: int, cause: Refused | str) -> Generation:
    kind = TooLongPrompt if isinstance(cause, TooLong) else Generation
    return kind(
        id=id,
        text="",
        raw_text="",
        finish_reason=FinishReason.ERROR,
        prompt_tokens=prompt_tokens,
        completion_tokens=0,
        cached_prompt_tokens=None,
        prompt_sha256=None,
        loop=None,
        audited=False,
        logprobs=None,
        prompt_logprobs=None,
        cause=str(cause),
    )
