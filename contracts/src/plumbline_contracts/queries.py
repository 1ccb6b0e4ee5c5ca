"""What lists of the coordinator can be asked for: filters, and pages by opaque cursors."""

import re
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, Field

from .common import Language, Request, Text
from .detections import Detector, Finding
from .progress import ExperimentState


def _written_out(given: Any) -> Any:
    """Not a number of seconds or milliseconds, of which nobody knows which."""
    if isinstance(given, str) and not re.match(r"\d{4}-", given):
        raise ValueError("must be a time such as 2026-01-31T00:00:00Z")
    return given


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]


class PageQuery(Request):
    """A cursor stays right while things are added: nothing comes twice, nothing that was there is left out."""

    after: Text | None = Field(
        default=None, max_length=1000, description="The `next` of the page before, from the same filters."
    )
    limit: int = Field(default=200, ge=1, le=1000, description="At most so many; a page may have fewer.")


class ExperimentQuery(PageQuery):
    """Experiments that fit all that is given."""

    state: list[ExperimentState] = Field(default=[], description="One of these.")
    name: Text | None = Field(default=None, max_length=200, description="Part of the name, in capitals or not.")
    created_from: Moment | None = Field(default=None, examples=["2026-01-31T00:00:00Z"])
    created_before: Moment | None = None


class Missing(StrEnum):
    """`response`: there is none. `score`: some judge that should have scored it has not. `nothing`: neither."""

    RESPONSE = "response"
    SCORE = "score"
    NOTHING = "nothing"


class ResponseQuery(PageQuery):
    """Responses that fit all that is given."""

    arm: list[Text] = Field(default=[], description="One of these.")
    language: list[Language] = []
    category: list[Text] = []
    item: list[Text] = []
    finding: Finding | None = Field(default=None, description="What one of `detector` found; by default, that it did.")
    detector: list[Detector] = Field(default=[], description="Which detectors to look at; all where none is given.")
    missing: Missing | None = None
    judge: list[Text] = Field(default=[], description="Whose scores `min_score` and `max_score` are about.")
    aspect: list[Text] = Field(default=[], description="Which scores they are about.")
    min_score: float | None = Field(default=None, description="There is a score of this or more,", examples=[1])
    max_score: float | None = Field(default=None, description="and of this or less: the same score.", examples=[2])
