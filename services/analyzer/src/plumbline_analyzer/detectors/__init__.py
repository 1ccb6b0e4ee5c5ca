"""The detectors, each a pure function of one item; `detect` asks all of them in the contract's order."""

from collections.abc import Callable

from plumbline_contracts.analyzer import Detection, DetectionItem, Detector, ItemDetections

from . import code, empty, language, leakage, loop, refusal, repeated, truncated
from .identifier import LanguageIdentifier
from .verdict import Verdict

# Changes whenever a detector may answer differently than before; stored with every experiment.
VERSION = "5"

Detect = Callable[[DetectionItem], Verdict]


def registry(identifier: LanguageIdentifier) -> dict[Detector, Detect]:
    return {
        Detector.INFINITE_LOOP: loop.detect,
        Detector.UNINTENDED_CODE: code.detect,
        Detector.WRONG_LANGUAGE: lambda item: language.detect(item, identifier),
        Detector.PROMPT_LEAKAGE: leakage.detect,
        Detector.EMPTY: empty.detect,
        Detector.TRUNCATED: truncated.detect,
        Detector.INSTRUCTION_REPEATED: repeated.detect,
        Detector.REFUSAL: refusal.detect,
    }


def detect(item: DetectionItem, detectors: dict[Detector, Detect]) -> ItemDetections:
    answers = [(detector, detectors[detector](item)) for detector in Detector]
    return ItemDetections(
        id=item.id,
        detections=[Detection(detector=detector, **verdict._asdict()) for detector, verdict in answers],
    )
