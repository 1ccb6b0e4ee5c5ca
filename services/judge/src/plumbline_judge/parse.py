"""The text of a judge model -> scores. A score is taken as it was written, or it is missing with its cause.

JSON is read by the standard library, not by one that repairs it. Tried with json-repair: it closes a reply that was cut
off (`"score": 1` of an unwritten 1.5 becomes a score), reads `4 or 5` as 4, and keeps one of two contradicting values.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from plumbline_contracts.judge import AspectScore, Unscored, UnscoredCause, Verdict

from . import refusals
from .verdicts import scored, unscored

_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_NOT_APPLICABLE = {"n/a", "na", "n.a.", "not applicable"}
_NUMBER = re.compile(r"([-+]?\d+(?:\.\d+)?)(?:\s*/\s*(\d+))?")
_RATIONALES = ("rationale", "reason")  # just-eval's own prompt asks for a `reason`
_EXCERPT = 200


class Unusable(Exception):
    """A reply without any verdict."""

    def __init__(self, cause: UnscoredCause, detail: str) -> None:
        super().__init__(detail)
        self.unscored = Unscored(cause=cause, detail=detail)


def scores(reply: str, aspects: Sequence[str]) -> list[AspectScore]:
    """One entry per aspect, in order; never raises."""
    try:
        verdict = _verdict(reply, aspects)
    except Unusable as error:
        return [unscored(aspect, error.unscored.cause, error.unscored.detail) for aspect in aspects]
    return [_score(aspect, verdict.get(aspect)) for aspect in aspects]


def preference(reply: str) -> tuple[Verdict, str | None]:
    """The verdict on the response shown first (A) and second (B), and the rationale; raises Unusable."""
    verdict = _verdict(reply, ["verdict"])
    said = str(verdict["verdict"]).strip().casefold()
    if said not in {"1", "2", "tie"}:
        raise Unusable(UnscoredCause.UNPARSABLE_REPLY, f"the verdict is {said[:_EXCERPT]!r}, none of 1, 2, tie")
    return {"1": Verdict.A, "2": Verdict.B, "tie": Verdict.TIE}[said], _rationale(verdict)


def _verdict(reply: str, wanted: Sequence[str]) -> dict[str, Any]:
    """The one JSON object of the reply that has any of the wanted names; its keys in lower case."""
    text = _THOUGHTS.sub("", reply).strip()
    if not text:
        raise Unusable(UnscoredCause.EMPTY_REPLY, "the reply is empty")
    objects, fault = _objects(text)
    found = [verdict for verdict in objects if verdict.keys() & set(wanted)]
    if found and all(verdict == found[0] for verdict in found):
        return found[0]
    if found:
        raise Unusable(UnscoredCause.UNPARSABLE_REPLY, f"the reply holds {len(found)} different verdicts")
    if fault is not None:
        raise fault
    if refusals.find(text) is not None:
        raise Unusable(UnscoredCause.BACKEND_REFUSED, f"the reply is a refusal: {text[:_EXCERPT]!r}")
    raise Unusable(UnscoredCause.UNPARSABLE_REPLY, f"no JSON object with {', '.join(wanted)}: {text[:_EXCERPT]!r}")


def _objects(text: str) -> tuple[list[dict[str, Any]], Unusable | None]:
    """Every JSON object in the text, outermost ones only, and what was wrong with the first that is none."""
    found: list[dict[str, Any]] = []
    start = text.find("{")
    while start >= 0:
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            # Nothing after a broken object is read: its inside could pass for a verdict.
            return found, _fault(text, start, error)
        found.append(value)
        start = text.find("{", end)
    return found, None


def _fault(text: str, start: int, error: Exception) -> Unusable:
    cut = isinstance(error, json.JSONDecodeError) and (
        error.msg.startswith("Unterminated string") or error.pos >= len(text.rstrip("`\n "))
    )
    cause = UnscoredCause.TRUNCATED_REPLY if cut else UnscoredCause.UNPARSABLE_REPLY
    return Unusable(cause, f"broken JSON ({error}): {text[start : start + _EXCERPT]!r}")


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = {name.strip().casefold(): value for name, value in pairs}
    if len(named) < len(pairs):
        raise ValueError(f"a name stands twice among {', '.join(name for name, _ in pairs)}")
    return named


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")


# strict=False: a line break inside a rationale changes no score.
_DECODER = json.JSONDecoder(strict=False, object_pairs_hook=_without_repetition, parse_constant=_no_number)


def _score(aspect: str, verdict: Any) -> AspectScore:
    rationale = _rationale(verdict)
    said = verdict.get("score") if isinstance(verdict, dict) else verdict
    if said is None or said == "":
        return unscored(aspect, UnscoredCause.MISSING_ASPECT, "the reply has no score for it", rationale)
    text = str(said).strip()
    if text.casefold() in _NOT_APPLICABLE:
        return unscored(aspect, UnscoredCause.NOT_APPLICABLE, f"the judge says {text}", rationale)
    number = None if isinstance(said, bool) else _NUMBER.fullmatch(text)
    if number is None:
        return unscored(aspect, UnscoredCause.UNPARSABLE_REPLY, f"{text[:_EXCERPT]!r} is no score", rationale)
    if number[2] not in {None, "5"} or not 1 <= float(number[1]) <= 5:
        return unscored(aspect, UnscoredCause.OUT_OF_RANGE, f"{text[:_EXCERPT]} is not on the scale 1 to 5", rationale)
    return scored(aspect, float(number[1]), rationale)


def _rationale(verdict: Any) -> str | None:
    """The judge's words where it gave some."""
    if not isinstance(verdict, dict):
        return None
    return next((verdict[name] for name in _RATIONALES if isinstance(verdict.get(name), str)), None)
