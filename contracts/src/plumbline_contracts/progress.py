"""How far an experiment is: its state and its phases."""

from enum import StrEnum

from pydantic import AwareDatetime, Field

from .accounting import Usage
from .common import Response, Sha256
from .experiment import Limits


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


class Flow(Response):
    """How fast a service is asked: fewer requests at once while it answers 429 or 503, more again when it does not."""

    service: str = Field(examples=["generator", "judge:judge"])
    at_once: int = Field(description="Requests under way at most, now.")
    most: int = Field(description="The same when the service is not busy.")
    per_second: float | None = Field(description="Requests per second at most; null: no limit.")


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
    flow: list[Flow] = Field(description="Of each service that was called, since it was first called.")
    started: AwareDatetime | None
    finished: AwareDatetime | None


class ExperimentState(StrEnum):
    """`paused`: it cannot go on as things are, or shall not; `cause` says why and what to do. Nothing is lost."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Spent(Response):
    calls: int = Field(description="Requests to translator, generator and judges; retried ones count again.")
    tokens: int = Field(description="Of prompts and completions, as the generator counts them.")
    hours: float = Field(description="While it was queued or running.")


class Experiment(Response):
    id: str
    name: str
    state: ExperimentState
    cause: str | None = Field(description="Why it failed, was cancelled, or is paused.")
    attempt: int = Field(description="Is one more with every time that it is resumed or retried.")
    limits: Limits
    spent: Spent
    usage: list[Usage] = Field(description="Of each arm and language for which something was generated.")
    phases: list[Phase] = Field(description="Every phase, in order.")
    spec_sha256: Sha256
    created: AwareDatetime
    started: AwareDatetime | None
    finished: AwareDatetime | None


class ExperimentList(Response):
    experiments: list[Experiment] = Field(description="Newest first.")
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")
