"""What an analysis is made of: observations of items under arms in languages, and how to look at them."""

from typing import Self

from pydantic import Field, model_validator

from .common import Artifact, Identifier, ItemId, Language, Request, Text
from .detections import Detection


class ScoreObservation(Request):
    judge: Text
    rubric: Text
    aspect: Text
    score: float | None = Field(ge=1, le=5)
    missing: Text | None = Field(description="Cause when there is no score.")


class Observation(Request):
    """All that is known of one item under one arm in one language. Items are shared between arms and languages."""

    item: ItemId
    arm: Text
    language: Language
    category: Text = Field(default="regular", examples=["regular", "safety"])
    instruction: Text
    response: Text | None = Field(description="The raw text; null when there is none.")
    missing: Text | None = Field(default=None, description="Why there is no response.")
    finish_reason: Text | None = None
    completion_tokens: int | None = Field(default=None, ge=0)
    detections: list[Detection] = []
    scores: list[ScoreObservation] = []


class ArmLabel(Request):
    name: Text
    model: Text
    weights: Text = Field(examples=["base", "sft", "dpo", "instruct"])
    prompting: Text = Field(examples=["zero-shot", "urial", "chat"])


class JudgeLabel(Request):
    name: Text
    implementation: Text
    model: Text | None = Field(description="null: no model is involved; the report says so beside every number.")
    description: Text


class AnalysisSettings(Request):
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    resamples: int = Field(default=2000, ge=100, le=100_000, description="Bootstrap resamples over items.")
    seed: int = Field(default=0, ge=0, le=2**32 - 1)


class AnalysisRequest(Request):
    """Exactly one of `observations` (small) and `data` (a JSONL artifact with an Observation a line)."""

    experiment: Identifier
    title: Text = Field(max_length=500)
    arms: list[ArmLabel] = Field(min_length=1)
    languages: list[Language] = Field(min_length=1)
    judges: list[JudgeLabel]
    settings: AnalysisSettings = AnalysisSettings()
    observations: list[Observation] | None = Field(default=None, min_length=1, max_length=5000)
    data: Artifact | None = None
    notes: list[Text] = Field(default=[], description="Shown in the report as they are.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.observations is None) == (self.data is None):
            raise ValueError("give either observations or data")
        return self
