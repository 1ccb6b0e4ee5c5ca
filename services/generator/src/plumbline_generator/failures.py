"""What cannot be completed: a prompt alone, which is a result with its cause, or the whole request."""

from plumbline_contracts.generator import FinishReason, Generation, GenerationRequest
from plumbline_kit.errors import ProblemError

PREFIX_WITH_MESSAGES = "A prefix goes before texts, not before chat messages or tokens."


class Refused(Exception):
    """This prompt cannot be completed by this model; the message is the cause."""


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


def failed(id: str, prompt_tokens: int, cause: str) -> Generation:
    return Generation(
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
        cause=cause,
    )
