"""How text is drawn, and when it ends."""

from typing import Annotated

from pydantic import Field

from .common import Request, Text


class StopLoops(Request):
    """End a text once it is a loop: its last `min_characters` or more repeat, `min_repeats` times or more.

    The definition is `plumbline_contracts.periodicity.loop_of`, that of the analyzer's `infinite_loop`, which asks for
    fewer repeats; so what is ended as a loop is one there. Whether it would have gone on for ever is not known, so a
    share of the prompts, chosen by the digests of their texts, is watched and not ended.
    """

    min_repeats: float = Field(default=6.0, ge=3, le=1000)
    min_characters: int = Field(default=120, ge=60, le=100_000)
    audit_share: float = Field(default=0.05, ge=0, le=1, description="Of the prompts; they run to their end.")


class Decoding(Request):
    """How text is drawn. `temperature` 0 is greedy; sampling uses one stream of random numbers per prompt,
    made from `seed` and the prompt's id, so that a result does not depend on its batch."""

    max_new_tokens: int = Field(ge=1, le=32_768)
    temperature: float = Field(default=0.0, ge=0, le=5)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0, le=1_000_000, description="0 keeps every token.")
    repetition_penalty: float = Field(default=1.0, gt=0, le=10)
    stop: list[Annotated[Text, Field(min_length=1, max_length=200)]] = Field(default=[], max_length=16)
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    stop_loops: StopLoops | None = Field(default=None, description="Null lets every text run to its end.")
