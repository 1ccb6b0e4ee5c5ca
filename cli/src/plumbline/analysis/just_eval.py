"""just-eval's result files: what `just_eval` writes, and the same as JSON lines with `judge` and `parsed`."""

from collections.abc import Iterator, Mapping
from typing import Any

from plumbline_contracts.analyzer import Observation, ScoreObservation

from .given import Source, refuse, rows

SAFETY = "safety"


def fits(row: Mapping[str, Any]) -> bool:
    return ("output_cand" in row and "eval_config" in row) or ("parsed" in row and "judge" in row)


def read(source: Source) -> Iterator[Observation]:
    """ "N/A" is `not_applicable`; a reply that just-eval could not parse is `unparsable_reply`."""
    for place, row in rows(source.path):
        parsed = row.get("parsed_result", row.get("parsed"))
        if parsed is not None and not isinstance(parsed, dict):
            raise refuse(source.path, place, "`parsed_result` is no object of aspects")
        judge, mode = judge_of(row), _mode(row)
        scores = [_score(source, place, judge, mode, aspect, said) for aspect, said in (parsed or {}).items()]
        yield Observation(
            item=str(row.get("id", place)),
            arm=source.arm or row.get("generator_cand") or source.name,
            language=source.language,
            category=SAFETY if SAFETY in mode else "regular",
            instruction=str(row.get("input", row.get("instruction", ""))),
            response=row.get("output_cand", row.get("output")),
            missing=None if row.get("output_cand", row.get("output")) is not None else "no output in the file",
            scores=scores,
        )


def judge_of(row: Mapping[str, Any]) -> str:
    return str(row.get("judge") or (row.get("eval_config") or {}).get("gpt") or "judge")


def _mode(row: Mapping[str, Any]) -> str:
    return str(row.get("rubric") or (row.get("eval_config") or {}).get("mode") or "multi")


def _score(source: Source, place: str, judge: str, mode: str, aspect: str, said: Any) -> ScoreObservation:
    value = said.get("score") if isinstance(said, dict) else said
    score, missing = None, None
    if str(value).strip().upper() == "N/A":
        missing = "not_applicable"
    else:
        try:
            score = float(str(value))
        except ValueError:
            missing = "unparsable_reply"
    if score is not None and not 1 <= score <= 5:
        raise refuse(source.path, f"{place} {aspect}", f"a score of {score:g}; 1 to 5, or N/A, is needed")
    return ScoreObservation(judge=judge, rubric=f"just-eval {mode}", aspect=aspect, score=score, missing=missing)
