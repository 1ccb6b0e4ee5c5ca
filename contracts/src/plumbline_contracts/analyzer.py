"""The analyzer contract: critical errors per response, then statistics, figures and the report of an experiment."""

from typing import Annotated, Protocol

from fastapi import APIRouter, Depends

from .accounting import Usage
from .analysis import (
    AnalysisRequest,
    AnalysisSettings,
    ArmLabel,
    ComparedPair,
    DetectableEffectRequest,
    Ingredient,
    JudgeLabel,
    JudgeRole,
    Observation,
    ScoreObservation,
)
from .calibrating import CalibrationRequest, CalibrationResponse
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
from .early_stops import EarlyStop, LoopAudit, LoopScore
from .results import (
    Agreement,
    AnalysisResponse,
    ArmRanking,
    AspectMean,
    Check,
    Conclusion,
    DetectableEffect,
    Difference,
    ErrorDifference,
    ErrorRate,
    Estimate,
    Interaction,
    PairedDifference,
    Strength,
    WinRate,
)

__all__ = [
    "Agreement",
    "AnalysisRequest",
    "AnalysisResponse",
    "AnalysisSettings",
    "ArmLabel",
    "ArmRanking",
    "AspectMean",
    "CalibrationRequest",
    "CalibrationResponse",
    "Check",
    "ComparedPair",
    "Conclusion",
    "DetectableEffect",
    "DetectableEffectRequest",
    "Detection",
    "DetectionItem",
    "DetectionRequest",
    "DetectionResponse",
    "Detector",
    "Difference",
    "EarlyStop",
    "ErrorDifference",
    "ErrorRate",
    "Estimate",
    "Finding",
    "Ingredient",
    "Interaction",
    "ItemDetections",
    "JudgeLabel",
    "JudgeRole",
    "LoopAudit",
    "LoopScore",
    "Observation",
    "PairedDifference",
    "Repetition",
    "ScoreObservation",
    "Severity",
    "Strength",
    "Usage",
    "WinRate",
]  # one name for the whole contract

NAME = "analyzer"
VERSION = "1.4.0"
PORT = 8005


class Analyzer(Protocol):
    async def detect(self, request: DetectionRequest) -> DetectionResponse: ...

    async def analyze(self, request: AnalysisRequest) -> AnalysisResponse: ...

    async def calibrate(self, request: CalibrationRequest) -> CalibrationResponse: ...

    async def detectable_effect(self, request: DetectableEffectRequest) -> DetectableEffect: ...


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


@router.post("/detectable-effects", operation_id="detectable_effect", responses=problems())
async def detectable_effect(request: DetectableEffectRequest, analyzer: Implementation) -> DetectableEffect:
    """The smallest true difference that a planned comparison would find: for a plan, before any data."""
    return await analyzer.detectable_effect(request)


@router.post("/calibrations", operation_id="calibrate", dependencies=[REPEATABLE], responses=problems(409))
async def calibrate(request: CalibrationRequest, analyzer: Implementation) -> CalibrationResponse:
    """A judge held against gold: agreement, probes, what it may be used for, and what corrects its means. Pure."""
    return await analyzer.calibrate(request)
