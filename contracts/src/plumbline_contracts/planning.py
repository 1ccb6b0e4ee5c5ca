"""What a run of an experiment file would do, cost and could find: said before anything is spent."""

from pydantic import Field

from .common import Response
from .progress import PhaseName


class SpecCheck(Response):
    """What a run of this experiment file would do."""

    items: dict[str, int] = Field(description="Instructions per language.")
    translations: int
    trainings: int
    generations: int
    judgments: int
    warnings: list[str] = Field(description="What could not be verified from here, and what will be downloaded.")


class PlannedPhase(Response):
    """`calls`: requests to the services at most, if none is repeated. `seconds`: by the rate of earlier experiments,
    for what is not cached."""

    phase: PhaseName
    items: int
    cached: int | None = Field(description="Of these, answered in earlier experiments; null: not known.")
    calls: int
    seconds: float | None = Field(description="null: there is no measurement, or nothing to do.")
    basis: str = Field(
        description="What `seconds` rests on.",
        examples=["31.4 items/s in 3 experiments with the same services", "no measurement yet"],
    )


class PlannedTokens(Response):
    """What an arm sends to its model and gets back, over all languages."""

    arm: str
    generations: int
    prompt_tokens: int | None
    completion_tokens: int | None = Field(description="As long as its earlier responses were; null: unknown.")
    completion_tokens_at_most: int = Field(description="What the decoding allows.")
    basis: str = Field(
        examples=["3.91 characters per token in 200 prompts of quickstart-5f0c1a2b", "no measurement yet"]
    )


class PlannedComparison(Response):
    """The smallest true difference between two arms that these items show with a power of 80 %."""

    judge: str
    category: str
    items: int = Field(description="Of one language: both arms answer all of them. The smallest language counts.")
    comparisons: int = Field(description="Pairs of arms in all languages, on one aspect: what is corrected for.")
    score: float | None = Field(description="In points of the scale; null: larger than the scale.")
    score_corrected: float | None = Field(description="The same at the strictest step of the correction.")
    error_rate: float | None = Field(description="As a share; null: no difference would show.")
    error_rate_corrected: float | None
    assumptions: list[str]


class Plan(Response):
    check: SpecCheck
    phases: list[PlannedPhase] = Field(description="Those that have something to do.")
    seconds: float | None = Field(description="Of all phases; null where one of them has no measurement.")
    tokens: list[PlannedTokens]
    comparisons: list[PlannedComparison] = Field(description="Empty where there is one arm or no judge.")
    notes: list[str] = Field(description="What could not be planned, and why; limits that it would reach.")
