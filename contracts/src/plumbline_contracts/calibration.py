"""What is known of a judge's errors, and means that are corrected for them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from .common import Language, Request, Response, Text


class ConfusionCounts(BaseModel):
    """`residual_*`: of gold - score, over `n` items."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    confusion: list[Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=5, max_length=5)]] = Field(
        min_length=5, max_length=5, description="Rows are gold 1 to 5, columns the rounded score."
    )
    n: int = Field(ge=0)
    residual_mean: float
    residual_variance: float = Field(ge=0)


class Calibration(BaseModel):
    """What an analysis needs to correct the means of this judge, by language. It holds for this judge, model, rubric
    version and aspect alone; without a rubric, where every gold item had a criterion of its own, for no experiment."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    implementation: str
    model: str | None
    rubric: str | None
    rubric_version: str
    aspect: str
    gold: str
    languages: dict[Language, ConfusionCounts]


class JudgeCalibration(Request):
    """A calibration for the judge of that name in an analysis.

    `misclassification`: only the judge's errors are taken from gold, so the gold labels may be distributed otherwise
    than the experiment's. `rectified`: the mean of gold - score is added (prediction-powered inference), which holds
    where the gold items are drawn from the same items as the experiment's."""

    judge: Text
    calibration: Calibration
    method: Literal["misclassification", "rectified"] = "misclassification"


class CorrectedMean(Response):
    """`mean` of the scores as given, `corrected` for the judge's errors with the uncertainty of both samples."""

    judge: str
    arm: str
    language: str
    aspect: str
    method: str
    n: int
    gold: int = Field(description="Gold items behind the correction.")
    mean: float
    corrected: float | None = Field(description="null where the judge cannot tell the labels apart.")
    low: float | None
    high: float | None
