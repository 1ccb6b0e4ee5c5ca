"""What an analysis finds. Every number comes as value, interval, n, and what is missing by cause."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from .calibration import CorrectedMean
from .common import Artifact, Response
from .detections import Detector
from .early_stops import EarlyStop, LoopAudit, LoopScore


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
    leads: float | None = Field(description="Share of the resamples in which no arm has a higher mean; ties share.")
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


class Conclusion(StrEnum):
    """Of a test at the analysis' confidence, after correction. `no_difference`: none is shown, which is no equality."""

    HIGHER = "higher"
    LOWER = "lower"
    NO_DIFFERENCE = "no_difference"
    REFUSED = "refused"


class Check(Response):
    """The same comparison seen differently. `against`: `judge NAME`, `missing at worst`, `missing at best`, `ordinal
    model`, `without flagged items`."""

    against: str
    n: int
    difference: float | None = Field(description="In score points, shares, or log odds for the ordinal model.")
    low: float | None
    high: float | None
    p: float | None
    conclusion: Conclusion
    flips: bool = Field(description="The conclusion is another one than the comparison's own.")


class PairedDifference(Response):
    """`arm` minus `baseline` on the items that have both; over all languages an item counts as one cluster."""

    language: str | None = Field(description="null: over all languages.")
    arm: str
    baseline: str
    n: int = Field(description="Items with at least one pair.")
    difference: float | None
    low: float | None = Field(description="Bootstrap interval over items.")
    high: float | None
    missing: dict[str, int] = Field(description="Pairs that are not there, by cause.")
    p: float | None = Field(description="Exact sign-flip test over items; for shares this is McNemar's.")
    p_holm: float | None = Field(description="Corrected over the family: all comparisons of this judge, or of errors.")
    family: int = Field(description="How many comparisons Holm's correction covers.")
    higher: int = Field(description="Items on which the arm has the larger value.")
    lower: int
    effect_size: float | None = Field(description="Mean of the paired differences over their standard deviation.")
    worst: float | None = Field(description="With every missing value bad for the arm, good for the baseline.")
    best: float | None
    conclusion: Conclusion
    refused: str | None = Field(description="Why no conclusion is drawn: coverage that differs, too few pairs.")
    checks: list[Check]


class Difference(PairedDifference):
    judge: str
    aspect: str


class ErrorDifference(PairedDifference):
    detector: Detector


class Interaction(Response):
    """Difference in differences: how much more `arm` gains over `baseline` in `language` than in `reference`."""

    judge: str | None = Field(description="null for a detector.")
    measure: str = Field(description="Aspect, or detector.")
    language: str
    reference: str
    arm: str
    baseline: str
    n: int = Field(description="Items that have all four values.")
    difference: float | None
    low: float | None
    high: float | None
    missing: dict[str, int]
    p: float | None
    p_holm: float | None
    family: int
    conclusion: Conclusion
    refused: str | None


class Estimate(Response):
    """`low` and `high` are null where there is no interval to give."""

    value: float | None
    low: float | None
    high: float | None


class Agreement(Response):
    """Two judges on the same responses. Intervals: bootstrap over items."""

    judge: str
    other: str
    language: str
    aspect: str
    n: int = Field(description="Responses that both scored.")
    missing: dict[str, int] = Field(description="Responses that not both scored, by cause.")
    kappa: Estimate = Field(description="Cohen's, quadratically weighted.")
    alpha: Estimate = Field(description="Krippendorff's, ordinal.")
    spearman: Estimate
    exact: float | None = Field(description="Share of equal scores.")
    bias: Estimate = Field(description="Mean of `other` minus `judge`.")


class ArmRanking(Response):
    """Whether two judges put the arms in the same order."""

    judge: str
    other: str
    language: str
    aspect: str
    arms: int
    kendall: float | None = Field(description="Tau-b of the arms' means.")
    spearman: float | None
    best: str | None = Field(description="The arm with the highest mean by `judge`.")
    best_by_other: str | None


class WinRate(Response):
    """Of `arm` against `baseline`: wins and half of the ties over both kinds; inconsistent verdicts are no ties."""

    judge: str
    language: str
    arm: str
    baseline: str
    n: int = Field(description="Items with a win, a tie or a loss.")
    wins: int
    ties: int
    losses: int
    inconsistent: int = Field(description="The verdict flipped with the order.")
    missing: dict[str, int]
    rate: Estimate
    length_controlled: Estimate = Field(description="At equal length: AlpacaEval 2's GLM, without prompt difficulty.")
    worst: float | None = Field(description="With every inconsistent or missing verdict as a loss.")
    best: float | None


class Strength(Response):
    """Bradley-Terry log strength, mean 0 over the arms; a tie is half a win for both."""

    judge: str
    language: str
    arm: str
    n: int = Field(description="Decided comparisons with this arm.")
    strength: Estimate


class AnalysisResponse(Response):
    means: list[AspectMean]
    corrected_means: list[CorrectedMean] = Field(description="Where a calibration of the judge was given.")
    error_rates: list[ErrorRate]
    differences: list[Difference]
    error_differences: list[ErrorDifference]
    interactions: list[Interaction]
    agreements: list[Agreement]
    arm_rankings: list[ArmRanking]
    win_rates: list[WinRate]
    strengths: list[Strength]
    early_stops: list[EarlyStop] = Field(description="Empty where no loop was ended and none was audited.")
    loop_audits: list[LoopAudit]
    loop_scores: list[LoopScore] = Field(description="Empty where no loop was ended, or none was let run.")
    findings: list[str] = Field(description="What the numbers say, in sentences; also where an arm does not help.")
    report: Artifact = Field(description="One self-contained HTML file.")
    folder: Artifact | None = Field(
        description="report.html, tables/*.csv, tables/*.tex, figures/*.svg, figures/*.pdf; null: made before 1.2."
    )


_LATER: dict[str, Any] = {
    "corrected_means": [],
    "error_differences": [],
    "interactions": [],
    "agreements": [],
    "arm_rankings": [],
    "win_rates": [],
    "strengths": [],
    "early_stops": [],
    "loop_audits": [],
    "loop_scores": [],
    "folder": None,
}
_LATER_IN_DIFFERENCE: dict[str, Any] = {
    "missing": {},
    "p": None,
    "p_holm": None,
    "family": 0,
    "higher": 0,
    "lower": 0,
    "effect_size": None,
    "worst": None,
    "best": None,
    "conclusion": "refused",
    "refused": "the analyzer of that time drew no conclusion",
    "checks": [],
}


def completed(stored: dict[str, Any]) -> dict[str, Any]:
    """Results as an earlier analyzer gave them, with what it did not know marked as unknown."""
    means = [{"leads": None} | mean for mean in stored["means"]]
    differences = [_LATER_IN_DIFFERENCE | difference for difference in stored["differences"]]
    return _LATER | stored | {"means": means, "differences": differences}


class DetectableEffect(Response):
    """The smallest true difference that the planned test finds with the wanted power."""

    score: float | None = Field(description="In score points; null: none within the scale.")
    score_corrected: float | None = Field(description="At the first and strictest step of Holm's correction.")
    error_rate: float | None = Field(description="As a share; null: none that the discordant share allows.")
    error_rate_corrected: float | None
    assumptions: list[str]
