"""What became of every item of an experiment."""

from pydantic import Field

from .analyzer import Detection, Observation, ScoreObservation
from .common import Response
from .generator import Loop
from .judge import Confidence


class RecordedJudgment(Response):
    judge: str
    rubric: str
    aspect: str
    score: float | None
    stated: str | None = Field(description='What the judge said instead, as "N/A", where `compat` made a score of it.')
    rationale: str | None
    confidence: Confidence | None
    repaired: bool = Field(description="The judge's first reply was unusable, and it was asked once more.")
    missing: str | None = Field(description="Cause when there is no score.")


class ResponseRecord(Response):
    """One item under one arm in one language, with all that became of it."""

    arm: str
    language: str
    item: str
    category: str
    instruction: str | None
    response: str | None = Field(description="Text before the stop string.")
    raw_response: str | None
    missing: str | None = Field(description="Why there is no response.")
    finish_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    loop: Loop | None = Field(description="Where the text became a loop.")
    audited: bool = Field(description="It was let run, where other loops were ended.")
    flags: list[str] = Field(description="What is doubtful about the translated instruction.")
    detections: list[Detection]
    detections_if_ended: list[Detection] = Field(
        description="Of an audited loop: those of the text as it would have been ended. Else empty."
    )
    judgments: list[RecordedJudgment]

    def observation(self) -> Observation:
        """What the analyzer is told of it."""
        return Observation(
            item=self.item,
            arm=self.arm,
            language=self.language,
            category=self.category,
            instruction=self.instruction or "",
            response=self.raw_response,
            missing=self.missing,
            finish_reason=self.finish_reason,
            completion_tokens=self.completion_tokens,
            loop=self.loop,
            audited=self.audited,
            flags=self.flags,
            detections=self.detections,
            detections_if_ended=self.detections_if_ended,
            scores=[
                ScoreObservation(
                    judge=one.judge, rubric=one.rubric, aspect=one.aspect, score=one.score, missing=one.missing
                )
                for one in self.judgments
            ],
        )


class ResponsePage(Response):
    responses: list[ResponseRecord] = Field(description="May be few, or none, before the end.")
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")
