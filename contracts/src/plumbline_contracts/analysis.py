"""What an analysis is made of: observations of items under arms in languages, and how to look at them."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from .accounting import Usage
from .calibration import JudgeCalibration
from .common import Artifact, Identifier, ItemId, Language, Request, Text
from .detections import Detection
from .generator import Loop
from .judge import Verdict


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
    loop: Loop | None = Field(default=None, description="Where the generator saw the text become a loop.")
    audited: bool = Field(default=False, description="It was let run, where other loops were ended.")
    flags: list[Text] = Field(
        default=[],
        description="What is doubtful about the translated instruction; conclusions are tried without such items.",
        examples=[["untranslated"]],
    )
    detections: list[Detection] = []
    detections_if_ended: list[Detection] = Field(
        default=[], description="Of an audited loop: those of the text as it would have been ended."
    )
    scores: list[ScoreObservation] = []


class ComparedPair(Request):
    """A judge's verdict on two arms' responses to one item; `a` is `arm_a`."""

    item: ItemId
    language: Language
    judge: Text
    rubric: Text
    arm_a: Text
    arm_b: Text
    verdict: Verdict
    missing: Text | None = Field(default=None, description="Cause when the verdict is `unscored`.")


class ArmLabel(Request):
    name: Text
    model: Text
    weights: Text = Field(examples=["base", "sft", "dpo", "instruct"])
    prompting: Text = Field(examples=["zero-shot", "urial", "chat"])


class JudgeRole(StrEnum):
    """`primary`: its scores are the result. `shadow`: they only test it. `panel`: an aggregate of several."""

    PRIMARY = "primary"
    SHADOW = "shadow"
    PANEL = "panel"


class JudgeLabel(Request):
    name: Text
    implementation: Text
    model: Text | None = Field(description="null: no model is involved; the report says so beside every number.")
    description: Text
    role: JudgeRole = JudgeRole.PRIMARY


class Ingredient(Request):
    """One line of provenance, shown in the report."""

    kind: Text = Field(examples=["service", "weights", "prompt", "file"])
    name: Text
    version: Text = Field(description="Version, revision or digest.")


class AnalysisSettings(Request):
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    resamples: int = Field(default=2000, ge=100, le=100_000, description="Bootstrap resamples over items.")
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    coverage_gap: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="A comparison is refused where the arms' shares of items with a value differ by more; 1: never.",
    )
    compat: Literal["just-eval-2024"] | None = Field(
        default=None,
        description="just-eval-2024: an aspect that is `not_applicable` counts 5; labelled.",
    )


class AnalysisRequest(Request):
    """Exactly one of `observations` (small) and `data` (an artifact: JSON lines or Parquet, an Observation a row)."""

    experiment: Identifier
    title: Text = Field(max_length=500)
    arms: list[ArmLabel] = Field(min_length=1)
    languages: list[Language] = Field(min_length=1)
    judges: list[JudgeLabel]
    settings: AnalysisSettings = AnalysisSettings()
    observations: list[Observation] | None = Field(default=None, min_length=1, max_length=5000)
    data: Artifact | None = None
    comparisons: list[ComparedPair] = Field(default=[], max_length=100_000)
    notes: list[Text] = Field(default=[], description="Shown in the report as they are.")
    calibrations: list[JudgeCalibration] = Field(
        default=[], max_length=100, description="What is known of the judges' errors; means are corrected for them."
    )
    provenance: list[Ingredient] = []
    usage: list[Usage] = Field(default=[], description="Shown in the report; no other number depends on it.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.observations is None) == (self.data is None):
            raise ValueError("give either observations or data")
        return self


class DetectableEffectRequest(Request):
    """A planned comparison of two arms over the same items, for its power."""

    items: int = Field(ge=2, le=10_000_000, description="Items that both arms answer, in one language.")
    comparisons: int = Field(default=1, ge=1, le=1_000_000, description="Size of the family that Holm corrects for.")
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    power: float = Field(default=0.8, gt=0.5, lt=1)
    standard_deviation: float = Field(
        default=1.0, gt=0, le=4, description="Of the paired score differences. The default is an assumption of ours."
    )
    discordant: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Share of items on which only one of both arms errs. The default is an assumption of ours.",
    )
