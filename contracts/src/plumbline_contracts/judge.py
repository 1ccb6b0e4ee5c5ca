"""The judge contract: score responses on a rubric, compare pairs; what cannot be decided is `unscored`."""

from enum import StrEnum
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field

from .common import REPEATABLE, ItemId, Language, Request, Response, Text, implementation_of, problems

NAME = "judge"
VERSION = "1.0.0"
PORT = 8004


class JudgmentItem(Request):
    id: ItemId
    instruction: Text = Field(max_length=200_000)
    response: Text = Field(max_length=400_000)
    language: Language
    reference: Text | None = Field(default=None, max_length=400_000)


class JudgmentRequest(Request):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "rubric": "just-eval-multi",
                    "items": [
                        {
                            "id": "7",
                            "instruction": "Name three animals.",
                            "response": "The dog, the cat and the cow.",
                            "language": "en",
                        }
                    ],
                }
            ]
        }
    )

    rubric: str = Field(min_length=1, max_length=100, examples=["just-eval-multi", "just-eval-safety", "rules"])
    items: list[JudgmentItem] = Field(min_length=1, max_length=64)


class UnscoredCause(StrEnum):
    BACKEND_UNAVAILABLE = "backend_unavailable"
    BACKEND_REFUSED = "backend_refused"
    EMPTY_REPLY = "empty_reply"
    TRUNCATED_REPLY = "truncated_reply"
    UNPARSABLE_REPLY = "unparsable_reply"
    MISSING_ASPECT = "missing_aspect"
    OUT_OF_RANGE = "out_of_range"
    NOT_APPLICABLE = "not_applicable"


class Unscored(Response):
    cause: UnscoredCause
    detail: str


class AspectScore(Response):
    """Exactly one of `score` (1 worst to 5 best) and `unscored` is given."""

    aspect: str
    score: float | None = Field(ge=1, le=5)
    rationale: str | None
    unscored: Unscored | None


class Judgment(Response):
    id: str
    scores: list[AspectScore] = Field(description="One per aspect of the rubric, in its order.")
    raw_reply: str | None = Field(description="The judge model's own words; null where no model replied.")


class JudgmentResponse(Response):
    judgments: list[Judgment] = Field(description="One per item, in request order.")
    rubric: str
    rubric_version: str


class ComparisonItem(Request):
    id: ItemId
    instruction: Text = Field(max_length=200_000)
    response_a: Text = Field(max_length=400_000)
    response_b: Text = Field(max_length=400_000)
    language: Language
    reference: Text | None = Field(default=None, max_length=400_000)


class ComparisonRequest(Request):
    rubric: str = Field(min_length=1, max_length=100)
    items: list[ComparisonItem] = Field(min_length=1, max_length=64)


class Verdict(StrEnum):
    """`inconsistent`: the verdict flips with the order shown. `unscored`: no verdict; it is never a tie."""

    A = "a"
    B = "b"
    TIE = "tie"
    INCONSISTENT = "inconsistent"
    UNSCORED = "unscored"


class Comparison(Response):
    id: str
    verdict: Verdict
    rationale: str | None
    unscored: Unscored | None


class ComparisonResponse(Response):
    comparisons: list[Comparison] = Field(description="One per item, in request order.")
    rubric: str
    rubric_version: str


class Aspect(Response):
    name: str
    description: str = Field(description="What 1 and what 5 mean.")


class Rubric(Response):
    name: str
    version: str
    aspects: list[Aspect]


class Rubrics(Response):
    rubrics: list[Rubric]


class Judge(Protocol):
    async def judge(self, request: JudgmentRequest) -> JudgmentResponse:
        """Score every item on every aspect, or raise the problem `unknown-rubric`."""

    async def compare(self, request: ComparisonRequest) -> ComparisonResponse:
        """A verdict for every pair, both orders considered, or the problem `unknown-rubric`."""

    async def rubrics(self) -> Rubrics: ...


Implementation = Annotated[Judge, Depends(implementation_of(Judge))]
router = APIRouter(prefix="/v1", tags=[NAME])


@router.post("/judgments", operation_id="judge", dependencies=[REPEATABLE], responses=problems(409))
async def judge(request: JudgmentRequest, judge: Implementation) -> JudgmentResponse:
    """Score responses on a rubric. An item that cannot be scored is `unscored` with its cause."""
    return await judge.judge(request)


@router.post("/comparisons", operation_id="compare", dependencies=[REPEATABLE], responses=problems(409))
async def compare(request: ComparisonRequest, judge: Implementation) -> ComparisonResponse:
    """Compare two responses to one instruction."""
    return await judge.compare(request)


@router.get("/rubrics", operation_id="list_rubrics", responses=problems())
async def rubrics(judge: Implementation) -> Rubrics:
    return await judge.rubrics()
