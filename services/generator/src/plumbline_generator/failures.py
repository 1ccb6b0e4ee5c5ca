"""A prompt that cannot be completed is a result with its cause; the others of its request go on."""

from plumbline_contracts.generator import FinishReason, Generation

PREFIX_WITH_MESSAGES = "A prefix goes before texts, not before chat messages."


class Refused(Exception):
    """This prompt cannot be completed by this model; the message is the cause."""


def failed(id: str, prompt_tokens: int, cause: str) -> Generation:
    return Generation(
        id=id,
        text="",
        raw_text="",
        finish_reason=FinishReason.ERROR,
        prompt_tokens=prompt_tokens,
        completion_tokens=0,
        cause=cause,
    )
