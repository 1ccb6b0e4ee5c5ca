"""What a build can be told; everything else that shapes the result is in the source, which the digest key covers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Parameters:
    """The defaults make the documented world; tests use far fewer steps."""

    base_steps: int = 1000
    translator_steps: int = 400
    sft_rows: int = 600
    preference_rows: int = 300
    rejected_tokens: int = 48
