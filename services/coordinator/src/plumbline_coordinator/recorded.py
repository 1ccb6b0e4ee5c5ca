"""Experiments on what another one recorded: `only: judge` asks judges and the analyzer, `only: analyze` the latter."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from plumbline_contracts.common import Artifact, Place
from plumbline_contracts.coordinator import PhaseName, PhaseState, Submission
from plumbline_contracts.experiment import ExperimentSpec, leaves
from plumbline_kit.errors import ProblemError

from .resolved import resolved
from .rows import Outcome, Recorded
from .store import Store

_ORDER = list(PhaseName)
_MOST_SHOWN = 20


def outcomes(store: Store, recorded: Recorded, stage: PhaseName, unit: str, items: Sequence[str]) -> list[Outcome]:
    """Failures too, with their causes."""
    have = store.outcomes(recorded.source, stage, unit, items)
    absent = f"not recorded in {recorded.source}"
    return [replace(have.get(item, Outcome(item, None, absent)), origin=recorded.source) for item in items]


def find(store: Store, submission: Submission, spec: ExperimentSpec) -> Recorded:
    """The experiment that is named, or the newest that fits; `not-recorded` says what differs."""
    only, source = PhaseName(str(submission.only)), submission.recorded_in
    for id in store.newest_first() if source is None else [source]:
        faults = _faults(store, only, id, spec, submission.files)
        if not faults:
            return Recorded(only, id)
        if source is not None:
            detail = f"The experiment {id!r} did not record what this one would begin with."
            raise ProblemError(422, "not-recorded", detail, errors=faults[:_MOST_SHOWN])
    detail = "No experiment recorded what this one would begin with; name one to see what differs."
    raise ProblemError(422, "not-recorded", detail)


def _faults(store: Store, only: PhaseName, id: str, spec: ExperimentSpec, files: dict[str, Artifact]) -> list[Place]:
    row, before = store.get(id), _ORDER[_ORDER.index(only) - 1]
    if store.phases(id)[before].state != PhaseState.DONE:
        return [Place(place=id, message=f"its phase {before.value} has not ended")]
    theirs = resolved(row.resolved)
    ours = _determining(spec, only, spec, {path: file.sha256 for path, file in files.items()})
    have = _determining(theirs, only, spec, {path: file["sha256"] for path, file in row.files.items()})
    a, b, nothing = leaves(ours), leaves(have), "nothing"
    return [
        Place(place=path, message=f"is {a.get(path, nothing)!r} here and {b.get(path, nothing)!r} in {id}")
        for path in {**a, **b}
        if a.get(path, nothing) != b.get(path, nothing)
    ]


def _determining(
    spec: ExperimentSpec, only: PhaseName, wanted: ExperimentSpec, files: dict[str, str]
) -> dict[str, Any]:
    """What decides on all that comes before, of the arms and languages that `wanted` has: they may be fewer."""
    document = spec.model_dump(mode="json", include={"dataset", "prompts", "decoding"})
    for name in ("models", "trainings"):
        section = spec.model_dump(mode="json", include={name})[name]
        document[name] = {key: value for key, value in section.items() if key in getattr(wanted, name)}
    lists = ["arms", "judges"] if only is PhaseName.ANALYZE else ["arms"]
    for name in lists:
        names = {one.name for one in getattr(wanted, name)}
        document[name] = {one.name: one.model_dump(mode="json") for one in getattr(spec, name) if one.name in names}
    native = document["dataset"]["native"]
    document["dataset"]["native"] = {key: value for key, value in native.items() if key in wanted.languages}
    document["languages"] = {one: True for one in spec.languages if one in wanted.languages}
    paths = _paths(document)
    return document | {"files": {path: sha256 for path, sha256 in files.items() if path in paths}}


def _paths(document: dict[str, Any]) -> set[str]:
    return {value for path, value in leaves(document).items() if path.endswith(".path") and isinstance(value, str)}
