"""What is looked for in a response: critical errors, and what goes wrong beside them."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from .common import ItemId, Language, Request, Response, Text


class Detector(StrEnum):
    """The critical errors of the paper (loop, code, language) and what goes wrong beside them.

    A refusal is no error by itself: on a safety item it is what one wants.
    """

    INFINITE_LOOP = "infinite_loop"
    UNINTENDED_CODE = "unintended_code"
    WRONG_LANGUAGE = "wrong_language"
    PROMPT_LEAKAGE = "prompt_leakage"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    INSTRUCTION_REPEATED = "instruction_repeated"
    REFUSAL = "refusal"


class Finding(StrEnum):
    """`undecided`: the detector could not tell, for example the language of two words."""

    FOUND = "found"
    ABSENT = "absent"
    NOT_APPLICABLE = "not_applicable"
    UNDECIDED = "undecided"


class Severity(StrEnum):
    """`critical`: nothing of the response is of use; `major`: a good part is spoiled; `minor`: a blemish."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"


class DetectionItem(Request):
    """`response` is what the model wrote up to the stop string, before any cleaning.

    A stop string is part of a layout, such as `# Query`: behind the response it would be a leaked prompt, and the end
    of no loop.
    """

    id: ItemId
    instruction: Text = Field(max_length=200_000)
    response: Text = Field(max_length=400_000)
    language: Language = Field(description="The language the response should be in.")
    finish_reason: str | None = Field(default=None, max_length=50, examples=["length"])
    prefix: Text = Field(default="", max_length=400_000, description="Text before the instruction in the prompt.")
    asks_for_code: bool | None = Field(default=None, description="null: decide by the instruction.")
    other_language: bool = Field(default=False, description="The instruction asks for another language.")


class DetectionRequest(Request):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "id": "7",
                            "instruction": "Nomme trois animaux.",
                            "response": "le chien le chien le chien le chien le chien le chien le chien le chien",
                            "language": "fr",
                            "finish_reason": "length",
                        }
                    ]
                }
            ]
        }
    )

    items: list[DetectionItem] = Field(min_length=1, max_length=512)


class Repetition(BaseModel):
    """How a response repeats itself: `repeats` times a stretch of `period` characters, from the offset `onset` on.

    Of a near loop `period` is the mean length of what is repeated with changes.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    onset: int = Field(ge=0)
    period: int = Field(ge=1)
    repeats: float = Field(ge=1)


class Detection(BaseModel):
    """One detector's word on one response. `start` and `end` are offsets into the raw text.

    What has a default is not in detections that were stored by earlier versions.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    detector: Detector
    finding: Finding
    evidence: str | None
    start: int | None
    end: int | None
    kind: str | None = Field(
        default=None,
        description="Which of the forms that this detector knows.",
        examples=["exact", "near", "list", "code", "markup", "latex", "response", "lines", "heading", "new_query"],
    )
    severity: Severity | None = Field(default=None, description="null unless found.")
    repetition: Repetition | None = Field(default=None, description="null unless a loop was found.")


class ItemDetections(Response):
    id: str
    detections: list[Detection] = Field(description="One per detector, in the order of `Detector`.")


class DetectionResponse(Response):
    items: list[ItemDetections] = Field(description="One per item, in request order.")
    detectors_version: str
