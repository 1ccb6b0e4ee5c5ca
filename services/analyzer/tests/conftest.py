"""What the analyzer's tests share: items and observations with defaults, one loaded language identifier."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from plumbline_analyzer.detectors.identifier import LanguageIdentifier
from plumbline_contracts.analyzer import (
    AnalysisRequest,
    ArmLabel,
    Detection,
    DetectionItem,
    Detector,
    Finding,
    JudgeLabel,
    Observation,
    ScoreObservation,
)

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def identifier() -> LanguageIdentifier:
    return LanguageIdentifier(["en", "fr", "es", "pt", "it", "de", "ca", "ru", "zh", "ja", "ko", "ar"])


@pytest.fixture
def item() -> Callable[..., DetectionItem]:
    def make(response: str, instruction: str = "Tell me something.", language: str = "en", **more) -> DetectionItem:
        return DetectionItem(id="1", instruction=instruction, response=response, language=language, **more)

    return make


@pytest.fixture
def observe() -> Callable[..., Observation]:
    """`scores` maps an aspect to a number or to the cause why there is none; `found` lists detectors."""

    def make(item, arm="base", language="en", response="A response.", scores=None, found=(), detected=True, **more):
        made = [
            ScoreObservation(
                judge=more.get("judge", "rules"),
                rubric="rules",
                aspect=aspect,
                score=None if isinstance(value, str) else value,
                missing=value if isinstance(value, str) else None,
            )
            for aspect, value in (scores or {}).items()
        ]
        detections = [
            Detection(
                detector=detector,
                finding=Finding.FOUND if detector in found else Finding.ABSENT,
                evidence=None,
                start=0 if detector in found else None,
                end=5 if detector in found else None,
            )
            for detector in Detector
        ]
        return Observation(
            item=str(item),
            arm=arm,
            language=language,
            category=more.get("category", "regular"),
            instruction=more.get("instruction", "Say something."),
            response=response,
            missing=more.get("missing"),
            scores=made,
            detections=detections if detected and response is not None else [],
        )

    return make


@pytest.fixture
def request_of() -> Callable[..., AnalysisRequest]:
    def make(observations=None, arms=("base", "dpo"), languages=("en",), judges=("rules",), **more) -> AnalysisRequest:
        return AnalysisRequest(
            experiment="test",
            title=more.pop("title", "A test"),
            arms=[_arm(arm) if isinstance(arm, str) else arm for arm in arms],
            languages=list(languages),
            judges=[
                JudgeLabel(name=judge, implementation="rules", model=None, description="Counts words.")
                if isinstance(judge, str)
                else judge
                for judge in judges
            ],
            observations=observations,
            **more,
        )

    return make


def _arm(name: str) -> ArmLabel:
    return ArmLabel(name=name, model="tiny", weights=name if name in ("dpo", "sft") else "base", prompting="zero-shot")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(os.environ.get("PLUMBLINE_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set PLUMBLINE_SHARED_DATA")
    return folder
