"""The outcomes of looking at one aspect: a score, the cause why there is none, or what `compat` makes of that."""

from plumbline_contracts.judge import AspectScore, Compat, Unscored, UnscoredCause

NOT_APPLICABLE_2024 = 5.0


def scored(aspect: str, score: float, rationale: str | None) -> AspectScore:
    return AspectScore(aspect=aspect, score=score, stated=None, rationale=rationale, confidence=None, unscored=None)


def unscored(aspect: str, cause: UnscoredCause, detail: str, rationale: str | None = None) -> AspectScore:
    why = Unscored(cause=cause, detail=detail)
    return AspectScore(aspect=aspect, score=None, stated=None, rationale=rationale, confidence=None, unscored=why)


def counted(one: AspectScore, compat: Compat | None) -> AspectScore:
    """just-eval's report() counts "N/A" as 5.0 (just_eval/evaluate.py, 2024); what it could not parse, it left out."""
    if compat is None or one.unscored is None or one.unscored.cause != UnscoredCause.NOT_APPLICABLE:
        return one
    return one.model_copy(update={"score": NOT_APPLICABLE_2024, "stated": "N/A", "unscored": None})
