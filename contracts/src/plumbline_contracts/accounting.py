"""What a generator counted for an experiment."""

from pydantic import BaseModel, ConfigDict, Field


class Usage(BaseModel):
    """Tokens of an arm in a language, in all attempts: what was asked for again counts again, what was reused does not.

    What was cached depends on what else the generator did, so two runs of one experiment differ in it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    arm: str
    language: str
    prompt_tokens: int = Field(ge=0)
    cached_prompt_tokens: int = Field(ge=0, description="Of these, not computed, since other prompts begin the same.")
    computed_prompt_tokens: int = Field(
        ge=0, description="Of these, computed. Where the engine does not tell, neither counts."
    )
    completion_tokens: int = Field(ge=0)
    tokens_saved: int = Field(ge=0, description="By ending loops, as if each had gone on to the token limit.")

    @property
    def hit_rate(self) -> float | None:
        """Share of the prompts' tokens that were cached, as far as the engine tells."""
        told = self.cached_prompt_tokens + self.computed_prompt_tokens
        return self.cached_prompt_tokens / told if told else None
