"""The coordinator contract: experiments as durable workflows, their progress, responses and report."""

import hashlib
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Query
from fastapi import Request as HttpRequest
from fastapi.responses import HTMLResponse
from fastapi.sse import EventSourceResponse
from pydantic import AwareDatetime, ConfigDict, Field

from .analyzer import AnalysisResponse, Detection, Observation, ScoreObservation
from .common import (
    CONDITIONAL,
    TAGGED,
    Artifact,
    Identifier,
    Info,
    LastEventId,
    Request,
    Response,
    Sha256,
    Text,
    implementation_of,
    problems,
    sent,
)

NAME = "coordinator"
VERSION = "1.0.0"
PORT = 8000


class Submission(Request):
    """An experiment file as written, and the local files that it names, uploaded before."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "spec": "name: example\nlanguages: [en]\n...",
                    "source": "example.yaml",
                    "files": {
                        "data/instructions.jsonl": {"uri": "artifact:file-5f0c1a", "sha256": "0" * 64, "bytes": 9}
                    },
                }
            ]
        }
    )

    spec: Text = Field(min_length=1, max_length=1_000_000, description="YAML; see experiment.v1.schema.json.")
    source: Text = Field(default="experiment.yaml", max_length=1000, description="Its name, for messages.")
    files: dict[str, Artifact] = Field(default={}, description="By the path that the spec gives.")


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
    """`done` of `total` items (training steps in `train`), of which `failed` ended without a result."""

    name: PhaseName
    state: PhaseState
    done: int
    total: int
    failed: int
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


class Default(Response):
    """A setting that the experiment file left out, and the value that took its place."""

    path: str = Field(examples=["decoding.temperature", "arms[0].prompting"])
    value: Any


class Manifest(Response):
    """What an experiment was made of: enough to tell two of them apart, and to do one again."""

    source: str = Field(description="Name of the experiment file.")
    text: str = Field(description="The experiment file as given.")
    spec: dict[str, Any] = Field(description="As resolved, with every default filled in.")
    defaults: list[Default] = Field(description="What was filled in.")
    seeds: dict[str, int] = Field(description="Of decoding, analysis and every training.")
    packages: dict[str, str] = Field(description="Versions of the coordinator and of what it is made of.")
    services: dict[str, Info]
    rubrics: dict[str, dict[str, list[str]]] = Field(description="Judge to rubric to its aspects.")
    prompts: dict[str, str] = Field(description="sha256 of every prompt file used.")
    files: dict[str, str] = Field(description="sha256 of every data file used.")
    weights: dict[str, str] = Field(description="sha256 of the weights of every arm.")
    analysis: dict[str, Any] | None = Field(
        description="The AnalysisRequest as sent, with the digest of the observations; null before the analysis."
    )


class Check(Response):
    """What a run of this experiment file would do."""

    items: dict[str, int] = Field(description="Instructions per language.")
    translations: int
    trainings: int
    generations: int
    judgments: int
    warnings: list[str] = Field(description="What could not be verified from here, and what will be downloaded.")


class RecordedJudgment(Response):
    judge: str
    rubric: str
    aspect: str
    score: float | None
    rationale: str | None
    missing: str | None = Field(description="Cause when there is no score.")


class ResponseRecord(Response):
    """One item under one arm in one language, with all that became of it."""

    arm: str
    language: str
    item: str
    category: str
    instruction: str | None
    response: str | None = Field(description="Text before the stop string.")
    raw_response: str | None
    missing: str | None = Field(description="Why there is no response.")
    finish_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    detections: list[Detection]
    judgments: list[RecordedJudgment]

    def observation(self) -> Observation:
        """What the analyzer is told of it."""
        return Observation(
            item=self.item,
            arm=self.arm,
            language=self.language,
            category=self.category,
            instruction=self.instruction or "",
            response=self.raw_response,
            missing=self.missing,
            finish_reason=self.finish_reason,
            completion_tokens=self.completion_tokens,
            detections=self.detections,
            scores=[
                ScoreObservation(
                    judge=one.judge, rubric=one.rubric, aspect=one.aspect, score=one.score, missing=one.missing
                )
                for one in self.judgments
            ],
        )


class ResponsePage(Response):
    responses: list[ResponseRecord]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


class Coordinator(Protocol):
    async def upload(self, sha256: str, content: bytes) -> Artifact:
        """Keep a file, or raise `digest-mismatch`."""

    async def check_spec(self, submission: Submission) -> Check:
        """Validate fully without running, or raise `invalid-spec` with every fault and its place."""

    async def put(self, id: str, submission: Submission) -> Experiment:
        """Start, or return what this id and spec have; `id-taken` for another spec."""

    async def list_all(self) -> ExperimentList: ...

    async def get(self, id: str) -> Experiment: ...

    async def cancel(self, id: str) -> Experiment: ...

    def events(self, id: str) -> AsyncIterator[Experiment]:
        """The state now and after every change, until it has ended."""

    async def responses(self, id: str, after: str | None, limit: int) -> ResponsePage: ...

    async def results(self, id: str) -> AnalysisResponse: ...

    async def manifest(self, id: str) -> Manifest: ...

    async def report(self, id: str) -> str:
        """The HTML, or `not-finished`."""


Implementation = Annotated[Coordinator, Depends(implementation_of(Coordinator))]
router = APIRouter(prefix="/v1", tags=[NAME])
_OCTETS = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.put("/files/{sha256}", operation_id="upload_file", openapi_extra=_OCTETS, responses=problems())
async def upload(sha256: Sha256, request: HttpRequest, coordinator: Implementation) -> Artifact:
    """Upload a file that an experiment names, under its digest; repeating it is harmless."""
    return await coordinator.upload(sha256, await request.body())


@router.post("/checks", operation_id="check_experiment", responses=problems())
async def check(submission: Submission, coordinator: Implementation) -> Check:
    """Validate an experiment file and say what a run would do."""
    return await coordinator.check_spec(submission)


@router.put("/experiments/{id}", operation_id="put_experiment", status_code=202, responses=problems(409))
async def put(id: Identifier, submission: Submission, coordinator: Implementation) -> Experiment:
    """Start an experiment under an id of the caller's choice; repeating the request is harmless."""
    return await coordinator.put(id, submission)


@router.get("/experiments", operation_id="list_experiments", responses=problems())
async def list_all(coordinator: Implementation) -> ExperimentList:
    return await coordinator.list_all()


@router.get(
    "/experiments/{id}", operation_id="get_experiment", dependencies=[CONDITIONAL], responses=TAGGED | problems(404)
)
async def get(id: Identifier, coordinator: Implementation) -> Experiment:
    return await coordinator.get(id)


@router.post("/experiments/{id}/cancel", operation_id="cancel_experiment", status_code=202, responses=problems(404))
async def cancel(id: Identifier, coordinator: Implementation) -> Experiment:
    return await coordinator.cancel(id)


# As a dependency, so that an unknown id is a 404 and not a stream that breaks.
@router.get(
    "/experiments/{id}/events",
    operation_id="watch_experiment",
    response_class=EventSourceResponse,
    dependencies=[Depends(get)],
    responses=problems(404),
)
async def events(
    id: Identifier, coordinator: Implementation, last_event_id: LastEventId = None
) -> AsyncIterator[Experiment]:
    """Server-sent events: the experiment now and whenever it has changed, until it has ended.

    An event is all of it, so nothing is missed but what newer ones replace. Its id is a digest of it: with
    Last-Event-ID, what the caller has is not sent again, unless it is the end.
    """
    async for experiment in coordinator.events(id):
        revision = hashlib.sha256(experiment.model_dump_json().encode()).hexdigest()[:32]
        if revision != last_event_id or experiment.finished is not None:
            yield sent(experiment, revision)


@router.get("/experiments/{id}/responses", operation_id="list_responses", responses=problems(404))
async def responses(
    id: Identifier,
    coordinator: Implementation,
    after: Annotated[Text | None, Query(max_length=1000)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> ResponsePage:
    """Every item under every arm in every language, also those without a response."""
    return await coordinator.responses(id, after, limit)


@router.get(
    "/experiments/{id}/results",
    operation_id="get_results",
    dependencies=[CONDITIONAL],
    responses=TAGGED | problems(404, 409),
)
async def results(id: Identifier, coordinator: Implementation) -> AnalysisResponse:
    return await coordinator.results(id)


@router.get(
    "/experiments/{id}/manifest",
    operation_id="get_manifest",
    dependencies=[CONDITIONAL],
    responses=TAGGED | problems(404),
)
async def manifest(id: Identifier, coordinator: Implementation) -> Manifest:
    return await coordinator.manifest(id)


@router.get(
    "/experiments/{id}/report",
    operation_id="get_report",
    response_class=HTMLResponse,
    dependencies=[CONDITIONAL],
    responses=TAGGED | problems(404, 409),
)
async def report(id: Identifier, coordinator: Implementation) -> HTMLResponse:
    """The report as one self-contained HTML page."""
    return HTMLResponse(await coordinator.report(id))
