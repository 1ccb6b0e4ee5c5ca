"""The trainer contract: supervised fine-tuning and preference optimisation as jobs."""

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Annotated, Literal, Protocol

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse
from pydantic import AwareDatetime, ConfigDict, Field

from .common import Artifact, Identifier, LastEventId, Request, Response, Sha256, implementation_of, problems, sent
from .weights import ModelReference

NAME = "trainer"
VERSION = "1.1.0"
PORT = 8003


class Method(StrEnum):
    """`sft`: rows {prompt, completion}. `dpo`: rows {prompt, chosen, rejected}."""

    SFT = "sft"
    DPO = "dpo"


class LowRank(Request):
    """LoRA on all linear layers."""

    rank: int = Field(default=16, ge=1, le=1024)
    alpha: int = Field(default=32, ge=1, le=4096)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    merge: bool = Field(
        default=True,
        description="Save whole weights; false saves the adapter alone, which is small and needs the same base where it"
        " is used.",
    )


class Hyperparameters(Request):
    """What a training run depends on beside model and data. Names follow TRL and transformers."""

    learning_rate: float = Field(gt=0, le=1)
    epochs: float = Field(default=1.0, gt=0, le=1000)
    batch_size: int = Field(default=8, ge=1, le=4096, description="Sequences (or pairs) per device and step.")
    gradient_accumulation_steps: int = Field(default=1, ge=1, le=4096)
    max_length: int = Field(default=1024, ge=8, le=131_072, description="Tokens; longer sequences are cut at the end.")
    scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_ratio: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    beta: float = Field(default=0.1, gt=0, le=10, description="DPO only.")
    loss: list[Literal["sigmoid", "ipo", "hinge", "robust", "sigmoid_norm", "sft"]] = Field(
        default=["sigmoid"], min_length=1, max_length=3, description="DPO only; several are added up, as TRL does."
    )
    low_rank: LowRank | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = Field(default=0, ge=0, le=2**32 - 1)


class TrainingRequest(Request):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "method": "dpo",
                    "model": "tinyworld-base",
                    "data": {"uri": "artifact:preferences-5f0c1a", "sha256": "0" * 64, "bytes": 10_240},
                    "hyperparameters": {"learning_rate": 4e-4, "batch_size": 8},
                }
            ]
        }
    )

    method: Method
    model: ModelReference
    data: Artifact = Field(description="A JSONL file; prompts and completions are finished text, EOS is added here.")
    hyperparameters: Hyperparameters


class TrainingState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TrainingProgress(Response):
    """Measured at `step`; loss in nats, reward accuracy in [0, 1] for DPO."""

    step: int
    total_steps: int
    loss: float | None
    reward_accuracy: float | None


class Training(Response):
    id: str
    state: TrainingState
    progress: TrainingProgress | None
    cause: str | None = Field(description="Why it failed, in words.")
    weights: Artifact | None = Field(
        description="A transformers folder with safetensors, once completed; peft's adapter folder with `merge: false`."
    )
    weights_sha256: Sha256 | None = Field(
        description="What a generator tells of them: the artifact's digest, or an adapter's together with its base's."
    )
    created: AwareDatetime
    started: AwareDatetime | None
    finished: AwareDatetime | None


class TrainingEvent(Response):
    """One line of a training's history: a change of state or a measured step."""

    number: int = Field(description="Counts from 1 within a training.")
    at: AwareDatetime
    state: TrainingState
    progress: TrainingProgress | None


class Trainer(Protocol):
    async def put(self, id: str, request: TrainingRequest) -> Training:
        """Start the job, or return the one that this id and request have; problem `id-taken` for another request."""

    async def get(self, id: str) -> Training:
        """The job, or the problem `unknown-training`."""

    async def cancel(self, id: str) -> Training:
        """End the job; harmless when it has ended."""

    def events(self, id: str) -> AsyncIterator[TrainingEvent]:
        """The history from the start, then what happens, until the job has ended."""


Implementation = Annotated[Trainer, Depends(implementation_of(Trainer))]
router = APIRouter(prefix="/v1", tags=[NAME])


@router.put("/trainings/{id}", operation_id="put_training", status_code=202, responses=problems(409))
async def put(id: Identifier, request: TrainingRequest, trainer: Implementation) -> Training:
    """Start a training under an id of the caller's choice; repeating the request is harmless."""
    return await trainer.put(id, request)


@router.get("/trainings/{id}", operation_id="get_training", responses=problems(404))
async def get(id: Identifier, trainer: Implementation) -> Training:
    return await trainer.get(id)


@router.post("/trainings/{id}/cancel", operation_id="cancel_training", status_code=202, responses=problems(404))
async def cancel(id: Identifier, trainer: Implementation) -> Training:
    return await trainer.cancel(id)


# As a dependency, so that an unknown id is a 404 and not a stream that breaks.
@router.get(
    "/trainings/{id}/events",
    operation_id="watch_training",
    response_class=EventSourceResponse,
    dependencies=[Depends(get)],
    responses=problems(404),
)
async def events(
    id: Identifier, trainer: Implementation, last_event_id: LastEventId = None
) -> AsyncIterator[TrainingEvent]:
    """Server-sent events from the start of the job to its end. Their ids are their numbers."""
    seen = int(last_event_id) if last_event_id and last_event_id.isdecimal() else 0
    async for event in trainer.events(id):
        if event.number > seen:
            yield sent(event, str(event.number))
