"""The judge contract: score responses on a rubric, compare pairs; what cannot be decided is `unscored`."""

from enum import StrEnum
from typing import Annotated, Literal, Protocol, Self

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field, model_validator

from .common import REPEATABLE, Identifier, ItemId, Language, Request, Response, Text, implementation_of, problems

NAME = "judge"
VERSION = "1.1.0"
PORT = 8004


class Compat(StrEnum):
    """`just-eval-2024`: an aspect that the judge calls "N/A" counts 5.0, as in just-eval's published means."""

    JUST_EVAL_2024 = "just-eval-2024"


class RubricLanguage(StrEnum):
    """`en`: the rubric in English for every item. `response`: in the language that the response should have."""

    ENGLISH = "en"
    RESPONSE = "response"


class AspectDefinition(Request):
    name: Identifier
    asks: Text = Field(min_length=1, max_length=4000, description="The question that the score answers.")
    scale: dict[Literal["1", "2", "3", "4", "5"], Annotated[Text, Field(min_length=1, max_length=4000)]] = Field(
        description="What a score means, 1 worst and 5 best; scores between two that are given lie between them.",
        json_schema_extra={"required": ["1", "5"]},
    )

    @model_validator(mode="after")
    def _has_both_ends(self) -> Self:
        if missing := {"1", "5"} - self.scale.keys():
            raise ValueError(f"the scale must say what {' and '.join(sorted(missing))} means")
        return self


class RubricDefinition(Request):
    """A rubric in words: inline in a request, and the form of a rubric file. Change a word, change the version."""

    name: Annotated[Identifier, Field(max_length=100)]
    version: Text = Field(min_length=1, max_length=50, examples=["1.0.0"])
    aspects: list[AspectDefinition] = Field(min_length=1, max_length=20)
    translations: dict[Language, list[AspectDefinition]] = Field(
        default={}, description="The same aspects in other languages than English; their names stay as they are."
    )
    compat: Compat | None = None

    @model_validator(mode="after")
    def _has_every_aspect_once(self) -> Self:
        names = [aspect.name for aspect in self.aspects]
        if len(set(names)) < len(names):
            raise ValueError("two aspects have the same name")
        for language, aspects in self.translations.items():
            if [aspect.name for aspect in aspects] != names:
                raise ValueError(f"the translation {language} must have the aspects {', '.join(names)}, in this order")
        return self


RubricChoice = Annotated[
    Annotated[str, Field(min_length=1, max_length=100)] | RubricDefinition,
    Field(
        description="The name of one of the judge's rubrics, or one of your own; a judge may refuse those with 422.",
        examples=["just-eval-multi", "just-eval-safety", "rules"],
    ),
]


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

    rubric: RubricChoice
    rubric_language: RubricLanguage = RubricLanguage.ENGLISH
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


class Confidence(Response):
    """How sure the judge model was, from the probabilities of the token that is the score.

    `expected` is the mean of 1 to 5 by those probabilities (G-Eval, arXiv 2303.16634), renormalised over the five
    (TrustJudge, 2509.21117). `mass` is what the five had before: far below 1, the model wanted to write no score.
    """

    expected: float = Field(ge=1, le=5)
    probabilities: list[float] = Field(min_length=5, max_length=5, description="Of 1, 2, 3, 4, 5; they add up to 1.")
    mass: float = Field(ge=0, le=1)


class AspectScore(Response):
    """Exactly one of `score` (1 worst to 5 best) and `unscored` is given."""

    aspect: str
    score: float | None = Field(ge=1, le=5)
    stated: str | None = Field(description="What the judge said instead, where `compat` made this score of it.")
    rationale: str | None
    confidence: Confidence | None = Field(description="null where there are no token probabilities.")
    unscored: Unscored | None


class Repair(Response):
    """The model's first reply was unusable; it was told why and asked once more."""

    error: str = Field(description="What it was told.")
    raw_reply: str | None = Field(description="Its first reply.")


class Judgment(Response):
    id: str
    scores: list[AspectScore] = Field(description="One per aspect of the rubric, in its order.")
    raw_reply: str | None = Field(description="The judge model's own words, the last ones; null where none replied.")
    repair: Repair | None = Field(description="null where the first reply was taken.")


class JudgmentResponse(Response):
    judgments: list[Judgment] = Field(description="One per item, in request order.")
    rubric: str
    rubric_version: str = Field(description="Two equal ones asked the judge in the same words.")
    compat: Compat | None


class ComparisonItem(Request):
    id: ItemId
    instruction: Text = Field(max_length=200_000)
    response_a: Text = Field(max_length=400_000)
    response_b: Text = Field(max_length=400_000)
    language: Language
    reference: Text | None = Field(default=None, max_length=400_000)


class ComparisonRequest(Request):
    rubric: RubricChoice
    rubric_language: RubricLanguage = RubricLanguage.ENGLISH
    both_orders: bool = Field(default=True, description="false: only with `response_a` first, at half the cost.")
    items: list[ComparisonItem] = Field(min_length=1, max_length=64)


class Verdict(StrEnum):
    """`inconsistent`: the verdict flips with the order shown. `unscored`: no verdict; it is never a tie."""

    A = "a"
    B = "b"
    TIE = "tie"
    INCONSISTENT = "inconsistent"
    UNSCORED = "unscored"


class OrderVerdict(Response):
    """The verdict when one response was shown first: a, b, tie or unscored. `a` and `b` are the request's."""

    shown_first: Literal["a", "b"]
    verdict: Verdict
    rationale: str | None
    unscored: Unscored | None
    raw_reply: str | None
    repair: Repair | None


class Comparison(Response):
    id: str
    verdict: Verdict
    rationale: str | None
    unscored: Unscored | None
    orders: list[OrderVerdict] = Field(description="One per order asked; empty where a judge shows no order.")


class OrderEffect(Response):
    """Over the pairs with a verdict in both orders. flips / both is the flip rate; first / both and second / both
    are the shares where the response at that place won both times, whichever it was: position bias (MT-bench)."""

    both: int = Field(ge=0, description="Pairs with a verdict in both orders.")
    flips: int = Field(ge=0, description="Of these, `inconsistent`.")
    first: int = Field(ge=0, description="Of the flips, those for the response shown first in both orders.")
    second: int = Field(ge=0, description="Of the flips, those for the response shown second in both orders.")


class ComparisonResponse(Response):
    comparisons: list[Comparison] = Field(description="One per item, in request order.")
    order_effect: OrderEffect | None = Field(description="null where not both orders were asked.")
    rubric: str
    rubric_version: str


class Aspect(Response):
    name: str
    description: str = Field(description="What 1 and what 5 mean.")


class Rubric(Response):
    name: str
    version: str
    aspects: list[Aspect]
    languages: list[Language] = Field(description="The languages that it has a text in, for `rubric_language`.")
    compat: Compat | None


class Rubrics(Response):
    rubrics: list[Rubric]


class Judge(Protocol):
    async def judge(self, request: JudgmentRequest) -> JudgmentResponse:
        """Score every item on every aspect, or raise `unknown-rubric`, `inline-rubric` or `rubric-language`."""

    async def compare(self, request: ComparisonRequest) -> ComparisonResponse:
        """A verdict for every pair, or the same problems."""

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
