"""What the coordinator stand-in has of every item."""

from typing import Any

from plumbline_contracts import coordinator as contract
from plumbline_contracts.analyzer import Detection, Detector, Finding


def record(index: int, better: bool = False) -> contract.ResponseRecord:
    better = better and index == 2
    missing = "the generator gave up" if index == 5 else None
    response = None if missing else f'Ligne "une",\nligne deux; été n° {index}{" !" * better}'
    return contract.ResponseRecord(
        arm="urial" if index % 2 else "zero-shot",
        language="fr",
        item=str(index // 2),
        category="regular",
        instruction="Écris deux lignes.",
        response=response,
        raw_response=response,
        missing=missing,
        finish_reason=None if missing else "stop",
        prompt_tokens=None if missing else 12,
        completion_tokens=None if missing else 7,
        loop=None,
        audited=False,
        flags=[],
        detections=[]
        if missing
        else [
            Detection(detector=detector, finding=Finding.ABSENT, evidence=None, start=None, end=None)
            for detector in Detector
        ],
        detections_if_ended=[],
        judgments=[]
        if missing
        else [
            judgment("clarity", score=4.0 + better, rationale="Clair."),
            judgment("depth", missing="unscored: no number"),
        ],
    )


def judgment(aspect: str, **given: Any) -> contract.RecordedJudgment:
    unknown = {"score": None, "stated": None, "rationale": None, "confidence": None, "repaired": False, "missing": None}
    return contract.RecordedJudgment(judge="judge", rubric="r", aspect=aspect, **(unknown | given))
