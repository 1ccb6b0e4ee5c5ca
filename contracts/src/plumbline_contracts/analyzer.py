"""The analyzer contract: critical errors per response, then statistics, figures and the report of an experiment."""

from enum import StrEnum
from typing import Annotated, Protocol, Self

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .common import Artifact, Identifier, ItemId, Language, Request, Response, Text, implementation_of, problems

NAME = "analyzer"
VERSION = "1.0.0"
PORT = 8005


class Detector(StrEnum):
    """The critical errors of the paper (loop, code, language) and what goes wrong beside them."""

    INFINITE_LOOP = "infinite_loop"
    UNINTENDED_CODE = "unintended_code"
    WRONG_LANGUAGE = "wrong_language"
    PROMPT_LEAKAGE = "prompt_leakage"
    EMPTY = "empty"
    TRUNCATED = "truncated"


class Finding(StrEnum):
    """`undecided`: the detector could not tell, for example the language of two words."""

    FOUND = "found"
    ABSENT = "absent"
    NOT_APPLICABLE = "not_applicable"
    UNDECIDED = "undecided"


class DetectionItem(Request):
    """`response` is the raw text, before any cleaning."""

    id: ItemId
    instruction: Text = Field(max_length=200_000)
    response: Text = Field(max_length=400_000)
    language: Language = Field(description="The language the response should be in.")
    finish_reason: str | None = Field(default=None, max_length=50, examples=["length"])
    prefix: Text = Field(default="", max_length=400_000, description="Text before the instruction in the prompt.")
    asks_for_code: bool | None = Field(default=None, description="null: decide by the instruction.")
    other_language: bool = Field(default=False, description="The instruction asks for another language.")


class DetectionRequest(Request):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "id": "7",
                            "instruction": "Nomme trois animaux.",
                            "response": "le chien le chien le chien le chien le chien le chien le chien le chien",
                            "language": "fr",
                            "finish_reason": "length",
                        }
                    ]
                }
            ]
        }
    )

    items: list[DetectionItem] = Field(min_length=1, max_length=512)


class Detection(BaseModel):
    """One detector's word on one response. `start` and `end` are character offsets into the raw text."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    detector: Detector
    finding: Finding
    evidence: str | None
    start: int | None
    end: int | None


class ItemDetections(Response):
    id: str
    detections: list[Detection] = Field(description="One per detector, in the order of `Detector`.")


class DetectionResponse(Response):
    items: list[ItemDetections] = Field(description="One per item, in request order.")
    detectors_version: str


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


class AspectMean(Response):
    """Mean score. `low`/`high`: bootstrap interval over items. `worst`/`best`: with every missing score as 1 or 5."""

    judge: str
    arm: str
    language: str
    aspect: str
    n: int
    mean: float | None
    low: float | None
    high: float | None
    missing: dict[str, int] = Field(description="Number of items without a score, by cause.")
    worst: float | None
    best: float | None


class ErrorRate(Response):
    """Share of the responses on which the detector could decide. `low`/`high`: Wilson interval."""

    arm: str
    language: str
    detector: Detector
    n: int
    found: int
    rate: float | None
    low: float | None
    high: float | None
    undecided: int
    not_applicable: int
    missing: dict[str, int]


class Difference(Response):
    """Paired by item: `arm` minus `baseline` on the items that have both. `low`/`high`: bootstrap interval."""

    judge: str
    language: str
    aspect: str
    arm: str
    baseline: str
    n: int
    difference: float | None
    low: float | None
    high: float | None


class AnalysisResponse(Response):
    means: list[AspectMean]
    error_rates: list[ErrorRate]
    differences: list[Difference]
    findings: list[str] = Field(description="What the numbers say, in sentences; also where an arm does not help.")
    report: Artifact = Field(description="One self-contained HTML file.")


class Analyzer(Protocol):
    async def detect(self, request: DetectionRequest) -> DetectionResponse: ...

    async def analyze(self, request: AnalysisRequest) -> AnalysisResponse: ...


Implementation = Annotated[Analyzer, Depends(implementation_of(Analyzer))]
router = APIRouter(prefix="/v1", tags=[NAME])


@router.post("/detections", operation_id="detect", responses=problems())
async def detect(request: DetectionRequest, analyzer: Implementation) -> DetectionResponse:
    """Look for critical errors in raw responses."""
    return await analyzer.detect(request)


@router.post("/analyses", operation_id="analyze", responses=problems())
async def analyze(request: AnalysisRequest, analyzer: Implementation) -> AnalysisResponse:
    """Means, error rates, paired differences and the report. Pure: the same request gives the same answer."""
    return await analyzer.analyze(request)
