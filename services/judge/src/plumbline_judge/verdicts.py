"""The two outcomes of looking at one aspect: a score, or the cause why there is none."""

from plumbline_contracts.judge import AspectScore, Unscored, UnscoredCause


def scored(aspect: str, score: float, rationale: str | None) -> AspectScore:
    return AspectScore(aspect=aspect, score=score, rationale=rationale, unscored=None)


def unscored(aspect: str, cause: UnscoredCause, detail: str, rationale: str | None = None) -> AspectScore:
    return AspectScore(aspect=aspect, score=None, rationale=rationale, unscored=Unscored(cause=cause, detail=detail))
