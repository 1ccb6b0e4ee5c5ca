"""How far a judge can be trusted: its scores held against gold labels."""

from typing import Annotated

from pydantic import ConfigDict, Field

from .analysis import AnalysisSettings, JudgeLabel
from .calibration import Calibration
from .common import ItemId, Language, Request, Response, Text
from .judge import Verdict
from .results import Estimate

Score = Annotated[float, Field(ge=1, le=5)]
Gold = Annotated[int, Field(ge=1, le=5)]


class GoldScore(Request):
    """One gold item and what the judge made of it. Parallel items of several languages share their id."""

    item: ItemId
    language: Language
    gold: Gold
    scores: list[Score | None] = Field(min_length=1, max_length=20, description="One per repeat; null: unscored.")
    missing: Text | None = Field(default=None, description="Cause when the first score is null.")
    padded: Score | None = Field(default=None, description="Score of the same response made longer, saying no more.")


class GoldPair(Request):
    """Two responses of which gold prefers the first, `a`. `swapped`: the verdict, on the same `a`, of the pair asked
    in the other order."""

    language: Language
    verdict: Verdict
    swapped: Verdict


class CalibrationRequest(Request):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "judge": {"name": "mine", "implementation": "openai", "model": "m", "description": "A model."},
                    "rubric": "rules",
                    "rubric_version": "1.0.0",
                    "aspect": "mean",
                    "gold": "gold.csv",
                    "scores": [
                        {"item": "1", "language": "en", "gold": 5, "scores": [4.0, 4.0], "padded": 4.5},
                        {"item": "2", "language": "en", "gold": 1, "scores": [2.0, 2.0], "padded": 2.0},
                        {"item": "1", "language": "es", "gold": 5, "scores": [4.0, 3.0], "padded": 4.0},
                        {"item": "2", "language": "es", "gold": 1, "scores": [1.0, 1.0], "padded": 1.0},
                    ],
                    "pairs": [{"language": "en", "verdict": "a", "swapped": "a"}],
                }
            ]
        }
    )

    judge: JudgeLabel
    rubric: Text | None = Field(
        description="null: each item was judged on a criterion of its own; this corrects no means."
    )
    rubric_version: Text
    aspect: Text = Field(description="The aspect held against gold; `mean` for the mean of all.")
    gold: Text = Field(max_length=500, description="What the gold labels are, for the report.")
    scores: list[GoldScore] = Field(min_length=1, max_length=20_000)
    pairs: list[GoldPair] = Field(default=[], max_length=20_000)
    settings: AnalysisSettings = AnalysisSettings()


class LanguageCalibration(Response):
    """One language, or `all` of them."""

    language: str
    n: int
    missing: dict[str, int] = Field(description="Number of items without a score, by cause.")
    exact: Estimate = Field(description="Share of scores that, rounded, are the gold label.")
    within_one: Estimate
    kappa: Estimate = Field(description="Cohen's, quadratically weighted, of the scores as they are.")
    bias: Estimate = Field(description="Mean of score - gold.")
    confusion: list[list[int]] = Field(description="5 x 5: rows are gold 1 to 5, columns the rounded score.")
    recall: list[float | None] = Field(description="Per gold label 1 to 5: share of its items scored so.")
    stability: Estimate = Field(description="Share of repeated scores that are as the first one.")
    padding: Estimate = Field(description="Mean of score of the padded response - score of the response.")


class SwapConsistency(Response):
    """`consistent`: share of pairs with the same verdict in both orders. `right`: share of the consistent verdicts for
    a or b that are gold's."""

    language: str
    n: int
    consistent: Estimate
    right: Estimate
    unscored: int


class LanguageSwap(Response):
    """The same items in two languages: `second` minus `first`."""

    first: str
    second: str
    n: int
    difference: Estimate
    same: Estimate = Field(description="Share of items with the same rounded score in both.")


class CalibrationResponse(Response):
    languages: list[LanguageCalibration]
    swaps: list[SwapConsistency]
    language_swaps: list[LanguageSwap]
    may: list[str] = Field(description="What this judge may be used for, in sentences.")
    may_not: list[str]
    calibration: Calibration
    report: str = Field(description="One self-contained HTML page.")
