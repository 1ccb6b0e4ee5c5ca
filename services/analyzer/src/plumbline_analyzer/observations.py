"""Reads the observations of an analysis and refuses what would make its numbers wrong."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from plumbline_contracts.analyzer import AnalysisRequest, Observation
from plumbline_contracts.common import Place
from plumbline_kit.artifacts import ArtifactStore
from plumbline_kit.errors import ProblemError
from pydantic import ValidationError

_MOST_PLACES = 20


def read(request: AnalysisRequest, store: ArtifactStore) -> list[Observation]:
    """The observations in a fixed order, so that the order of lines changes no number."""
    _refuse_duplicates(request)
    inline = request.data is None
    observations = list(request.observations or []) if request.data is None else list(_lines(store.path(request.data)))
    if not observations:
        raise ProblemError(422, "no-observations", "The data has no line; an analysis needs one observation or more.")
    faults = list(_faults(observations, request, "body.observations." if inline else "line "))
    if faults:
        detail = f"{len(faults)} fault(s) in the observations; the first: {faults[0].place}: {faults[0].message}"
        raise ProblemError(422, "invalid-observations", detail, errors=faults[:_MOST_PLACES])
    return sorted(observations, key=lambda observation: (observation.language, observation.item, observation.arm))


def _refuse_duplicates(request: AnalysisRequest) -> None:
    names = {
        "body.arms.{}.name": [arm.name for arm in request.arms],
        "body.judges.{}.name": [judge.name for judge in request.judges],
        "body.languages.{}": request.languages,
    }
    faults = [
        Place(place=place.format(i), message=f"{name!r} is given twice, first at {place.format(every.index(name))}")
        for place, every in names.items()
        for i, name in enumerate(every)
        if name in every[:i]
    ]
    if faults:
        detail = f"{len(faults)} fault(s) in the request; the first: {faults[0].place}: {faults[0].message}"
        raise ProblemError(422, "invalid-request", detail, errors=faults[:_MOST_PLACES])


def _lines(path: Path) -> Iterator[Observation]:
    if not path.is_file():
        raise ProblemError(
            422, "invalid-data", "The data is a folder; a JSONL file with an Observation a line is needed."
        )
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield Observation.model_validate_json(line)
            except ValidationError as error:
                fault = error.errors()[0]
                place = ".".join(["line " + str(number), *map(str, fault["loc"])])
                message = f"no Observation: {fault['msg']}"
                errors = [Place(place=place, message=message)]
                detail = f"The data is wrong at {place}: {message}"
                raise ProblemError(422, "invalid-observations", detail, errors=errors) from error


def _faults(observations: list[Observation], request: AnalysisRequest, place: str) -> Iterator[Place]:
    arms, judges = {arm.name for arm in request.arms}, {judge.name for judge in request.judges}
    first = 1 if request.observations is None else 0
    seen: dict[tuple[str, str, str], int] = {}
    for number, observation in enumerate(observations, first):
        for message in _messages(observation, arms, set(request.languages), judges):
            yield Place(place=f"{place}{number}", message=message)
        key = (observation.arm, observation.language, observation.item)
        if seen.setdefault(key, number) != number:
            message = f"item {key[2]!r} of arm {key[0]!r} in {key[1]} is given twice, first at {place}{seen[key]}"
            yield Place(place=f"{place}{number}", message=message)


def _messages(observation: Observation, arms: set[str], languages: set[str], judges: set[str]) -> Iterator[str]:
    if observation.arm not in arms:
        yield f"arm {observation.arm!r} is not among the request's arms"
    if observation.language not in languages:
        yield f"language {observation.language!r} is not among the request's languages"
    for judge in sorted({score.judge for score in observation.scores} - judges):
        yield f"judge {judge!r} is not among the request's judges"
    scored = Counter((score.judge, score.aspect) for score in observation.scores)
    detected = Counter(detection.detector.value for detection in observation.detections)
    for what, count in [*scored.items(), *detected.items()]:
        if count > 1:
            yield f"{' / '.join(what) if isinstance(what, tuple) else what} is given {count} times"
