"""How far an experiment is: its state and its phases."""

from enum import StrEnum

from pydantic import AwareDatetime, Field

from .common import Response, Sha256


class PhaseName(StrEnum):
    PREPARE = "prepare"
    TRANSLATE = "translate"
    TRAIN = "train"
    GENERATE = "generate"
    DETECT = "detect"
    JUDGE = "judge"
    ANALYZE = "analyze"


class PhaseState(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"


class Phase(Response):
    """`done` of `total` items (training steps in `train`), of which `failed` ended without a result.

    `reused` of those done were taken from what earlier experiments recorded.
    """

    name: PhaseName
    state: PhaseState
    done: int
    total: int
    failed: int
    reused: int
    message: str | None = Field(description="What it waits for, if it waits.")
    started: AwareDatetime | None
    finished: AwareDatetime | None


class ExperimentState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Experiment(Response):
    id: str
    name: str
    state: ExperimentState
    cause: str | None
    phases: list[Phase] = Field(description="Every phase, in order.")
    spec_sha256: Sha256
    created: AwareDatetime
    started: AwareDatetime | None
    finished: AwareDatetime | None


class ExperimentList(Response):
    experiments: list[Experiment] = Field(description="Newest first.")
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")
