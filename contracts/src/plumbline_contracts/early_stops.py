"""What ending loops early saved, and what it may have changed."""

from pydantic import Field

from .common import Response
from .detections import Detector


class EarlyStop(Response):
    """What ending loops early saved in an arm and language.

    Of a share of the prompts, the audited, every text is let run; their loops show what the ended ones would have
    become.
    """

    arm: str
    language: str
    n: int = Field(description="Responses.")
    ended: int = Field(description="Of these, ended as loops.")
    audited: int = Field(description="Of these, let run.")
    audited_loops: int = Field(description="Of the audited, those that became a loop and would have been ended.")
    ran_on: int = Field(description="Of the audited loops, those that went on to the token limit.")
    compared: int = Field(description="Of the audited loops, those of which both texts were looked at.")
    changed: int = Field(description="Of these, those on which a detector other than `truncated` says something else.")
    tokens: int = Field(description="Written.")
    tokens_saved: int = Field(description="As if every loop that was ended had gone on to the token limit.")
    saved: float | None = Field(description="`tokens_saved` as a share of what would have been written.")


class LoopAudit(Response):
    """Over all arms and languages: a detector's findings on whole audited loops, and on them as if they were ended."""

    detector: Detector | None = Field(description="null: any but `truncated`, which is about the limit itself.")
    n: int = Field(description="Audited loops that were compared.")
    changed: int = Field(description="Of these, those with another finding.")
    at_most: float | None = Field(
        description="So large a share of all loops, at the analysis' confidence (Clopper and Pearson, one-sided)."
    )


class LoopScore(Response):
    """A judge's scores of an arm's loops, over all languages: of those that were ended, and of those that were let run.

    They are different items. Which prompts are audited is chosen by digests, as if drawn, so that but for chance the
    items are alike. Interval: Welch (1947), which needs two scores of each, and a difference among them.
    """

    judge: str
    aspect: str
    arm: str
    ended_n: int
    ended: float | None = Field(description="Mean score of loops that were ended.")
    ended_missing: int = Field(description="Ended loops without a score.")
    whole_n: int
    whole: float | None = Field(description="Mean score of loops that were let run.")
    whole_missing: int
    difference: float | None = Field(description="`ended` less `whole`.")
    low: float | None
    high: float | None
