"""What an analysis finds: means, error rates and paired differences, each with its interval and what is missing."""

from pydantic import Field

from .common import Artifact, Response
from .detections import Detector


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
