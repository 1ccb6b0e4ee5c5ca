"""The analyzer contract: critical errors per response, then statistics, figures and the report of an experiment."""

from typing import Annotated, Protocol

from fastapi import APIRouter, Depends

from .analysis import (
    AnalysisRequest,
    AnalysisSettings,
    ArmLabel,
    JudgeLabel,
    Observation,
    ScoreObservation,
)
from .common import REPEATABLE, implementation_of, problems
from .detections import (
    Detection,
    DetectionItem,
    DetectionRequest,
    DetectionResponse,
    Detector,
    Finding,
    ItemDetections,
    Repetition,
    Severity,
)
from .results import (
    AnalysisResponse,
    AspectMean,
    Difference,
    ErrorRate,
)

__all__ = [
    "AnalysisRequest",
    "AnalysisResponse",
    "AnalysisSettings",
    "ArmLabel",
    "AspectMean",
    "Detection",
    "DetectionItem",
    "DetectionRequest",
    "DetectionResponse",
    "Detector",
    "Difference",
    "ErrorRate",
    "Finding",
    "ItemDetections",
    "JudgeLabel",
    "Observation",
    "Repetition",
    "ScoreObservation",
    "Severity",
]  # one name for the whole contract

NAME = "analyzer"
VERSION = "1.1.0"
PORT = 8005


class Analyzer(Protocol):
    async def detect(self, request: DetectionRequest) -> DetectionResponse: ...

    async def analyze(self, request: AnalysisRequest) -> AnalysisResponse: ...


Implementation = Annotated[Analyzer, Depends(implementation_of(Analyzer))]
router = APIRouter(prefix="/v1", tags=[NAME])


@router.post("/detections", operation_id="detect", dependencies=[REPEATABLE], responses=problems(409))
async def detect(request: DetectionRequest, analyzer: Implementation) -> DetectionResponse:
    """Look for critical errors in raw responses."""
    return await analyzer.detect(request)


@router.post("/analyses", operation_id="analyze", dependencies=[REPEATABLE], responses=problems(409))
async def analyze(request: AnalysisRequest, analyzer: Implementation) -> AnalysisResponse:
    """Means, error rates, paired differences and the report. Pure: the same request gives the same answer."""
    return await analyzer.analyze(request)
