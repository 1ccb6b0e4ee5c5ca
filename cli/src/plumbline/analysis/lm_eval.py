"""lm-evaluation-harness samples (`--log_samples`): every metric of a sample is an aspect."""

from collections.abc import Iterator, Mapping
from typing import Any

from plumbline_contracts.analyzer import Detection, Detector, Finding, Observation, ScoreObservation

from .given import Source, refuse, rows

_DETECTORS = frozenset(detector.value for detector in Detector)
JUDGE = "lm-evaluation-harness"
NOTE = (
    "Metrics of lm-evaluation-harness from 0 to 1 are shown as scores from 1 to 5 (1 + 4 x metric):"
    " divide a difference by 4 to have it as a share."
)


def fits(row: Mapping[str, Any]) -> bool:
    return "doc_id" in row and ("filtered_resps" in row or "metrics" in row)


def read(source: Source) -> Iterator[Observation]:
    """An arm is the folder that the harness names after the model; an item is a sample of a task under one filter."""
    task = source.path.name.removeprefix("samples_").rsplit("_", 1)[0]
    arm = source.arm or source.path.parent.name or source.name
    every = list(rows(source.path))
    filters = {row.get("filter", "none") for _, row in every}
    for place, row in every:
        doc: dict[str, Any] = row["doc"] if isinstance(row.get("doc"), dict) else {}
        metrics = row.get("metrics") or []
        if not isinstance(metrics, list):
            raise refuse(source.path, place, "`metrics` is no list of names")
        suffix = f"/{row.get('filter')}" if len(filters) > 1 else ""
        yield Observation(
            item=str(doc.get("item") or f"{task}/{row['doc_id']}") + suffix,
            arm=arm,
            language=doc.get("language") or source.language,
            category=doc.get("category") or task,
            instruction=_prompt(row),
            response=_text(row.get("filtered_resps")) or _text(row.get("resps")) or "",
            detections=[
                _detection(name, row[name]) for name in metrics if name in _DETECTORS and row.get(name) in (0, 1)
            ],
            scores=[
                _score(source, place, name, row.get(name))
                for name in metrics
                if _is_score(row.get(name)) and name not in _DETECTORS
            ],
        )


def _detection(name: str, value: float) -> Detection:
    """Plumbline's own export has its detectors as metrics."""
    finding = Finding.FOUND if value else Finding.ABSENT
    return Detection(detector=Detector(name), finding=finding, evidence=None, start=None, end=None)


def _is_score(value: Any) -> bool:
    return value is None or isinstance(value, (int, float))


def _score(source: Source, place: str, name: str, value: float | None) -> ScoreObservation:
    judge, _, aspect = name.rpartition("/")
    if value is not None and not 0 <= value <= 5:
        raise refuse(source.path, f"{place} {name}", f"{value:g}; 0 to 1, or a score from 1 to 5, is needed")
    scaled = value if value is None or judge else 1 + 4 * value
    if scaled is not None and not 1 <= scaled <= 5:
        raise refuse(source.path, f"{place} {name}", f"{value:g}; a metric from 0 to 1 is needed")
    missing = None if value is not None else "no metric in the file"
    return ScoreObservation(judge=judge or JUDGE, rubric="metrics", aspect=aspect, score=scaled, missing=missing)


def _prompt(row: Mapping[str, Any]) -> str:
    arguments = row.get("arguments")
    first = next(iter(arguments.values()), {}) if isinstance(arguments, dict) else (arguments or [[""]])[0]
    said = first.get("arg_0") if isinstance(first, dict) else (first or [""])[0]
    return said if isinstance(said, str) else ""


def _text(responses: Any) -> str:
    """The first text, however deep; a log likelihood is none."""
    while isinstance(responses, list) and responses:
        responses = responses[0]
    return responses if isinstance(responses, str) else ""
