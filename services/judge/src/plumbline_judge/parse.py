"""The text of a judge model -> scores. A score is taken as it was written, or it is missing with its cause.

JSON is read by the standard library, not by one that repairs it. Tried with json-repair: it closes a reply that was cut
off (`"score": 1` of an unwritten 1.5 becomes a score), reads `4 or 5` as 4, and keeps one of two contradicting values.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from plumbline_contracts.judge import AspectScore, Unscored, UnscoredCause, Verdict

from . import confidence, refusals
from .backend import Token
from .verdicts import scored, unscored

_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_NOT_APPLICABLE = {"n/a", "na", "n.a.", "not applicable"}
_NUMBER = re.compile(r"([-+]?\d+(?:\.\d+)?)(?:\s*/\s*(\d+))?")
_DRESS = re.compile(r"[\s\\\"'`]+")
_RATIONALES = ("rationale", "reason")  # just-eval's own prompt asks for a `reason`
_EXCERPT = 200


class Unusable(Exception):
    """A reply without any verdict."""

    def __init__(self, cause: UnscoredCause, detail: str) -> None:
        super().__init__(detail)
        self.unscored = Unscored(cause=cause, detail=detail)


class Found(NamedTuple):
    """A JSON object of a reply, its names in lower case, and where its text stands."""

    object: dict[str, Any]
    start: int
    end: int


def scores(reply: str, aspects: Sequence[str], material: str = "", tokens: Sequence[Token] = ()) -> list[AspectScore]:
    """One entry per aspect, in order; never raises. What is copied from the `material` is no verdict."""
    try:
        verdict = _verdict(reply, [aspect.casefold() for aspect in aspects], material)
    except Unusable as error:
        return [unscored(aspect, error.unscored.cause, error.unscored.detail) for aspect in aspects]
    found = [_score(aspect, verdict.object.get(aspect.casefold())) for aspect in aspects]
    return [one if one.score is None else _sure(one, reply, verdict.start, tokens) for one in found]


def _sure(one: AspectScore, reply: str, start: int, tokens: Sequence[Token]) -> AspectScore:
    assert one.score is not None
    how_sure = confidence.of_score(reply, start, one.aspect, one.score, tokens)
    return one if how_sure is None else one.model_copy(update={"confidence": how_sure})


def preference(reply: str, material: str = "") -> tuple[Verdict, str | None]:
    """The verdict on the response shown first (A) and second (B), and the rationale; raises Unusable."""
    verdict = _verdict(reply, ["verdict"], material).object
    said = str(verdict["verdict"]).strip().casefold()
    if said not in {"1", "2", "tie"}:
        raise Unusable(UnscoredCause.UNPARSABLE_REPLY, f"the verdict is {said[:_EXCERPT]!r}, none of 1, 2, tie")
    return {"1": Verdict.A, "2": Verdict.B, "tie": Verdict.TIE}[said], _rationale(verdict)


def _verdict(reply: str, wanted: Sequence[str], material: str) -> Found:
    """The one JSON object of the reply that has any of the wanted names."""
    thoughts = _THOUGHTS.match(reply)
    start = thoughts.end() if thoughts else 0
    if not (text := reply[start:].strip()):
        raise Unusable(UnscoredCause.EMPTY_REPLY, "the reply is empty")
    objects, fault = _objects(reply, start)
    verdicts = [one for one in objects if one.object.keys() & set(wanted)]
    found = [one for one in verdicts if not _is_copied(reply[one.start : one.end], material)]
    if found and all(one.object == found[0].object for one in found):
        return found[0]
    if found:
        raise Unusable(UnscoredCause.UNPARSABLE_REPLY, f"the reply holds {len(found)} different verdicts")
    if fault is not None:
        raise fault
    if verdicts:
        raise Unusable(UnscoredCause.UNPARSABLE_REPLY, "the only verdict in the reply is copied from the material")
    if refusals.find(text) is not None:
        raise Unusable(UnscoredCause.BACKEND_REFUSED, f"the reply is a refusal: {text[:_EXCERPT]!r}")
    raise Unusable(UnscoredCause.UNPARSABLE_REPLY, f"no JSON object with {', '.join(wanted)}: {text[:_EXCERPT]!r}")


def _is_copied(verdict: str, material: str) -> bool:
    """Whether the material says the same, whatever the quotes, escapes and spaces."""
    return "{" in material and _bare(verdict) in _bare(material)  # with braces; most material has none


def _bare(text: str) -> str:
    return _DRESS.sub("", text).casefold()


def _objects(text: str, start: int) -> tuple[list[Found], Unusable | None]:
    """Every JSON object from `start` on, outermost ones only, and what was wrong with the first that is none."""
    found: list[Found] = []
    start = text.find("{", start)
    while start >= 0:
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            # Nothing after a broken object is read: its inside could pass for a verdict.
            return found, _fault(text, start, error)
        found.append(Found(value, start, end))
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
