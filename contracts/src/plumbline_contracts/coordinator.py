"""The coordinator contract: experiments as durable workflows, their progress, responses and report."""

import hashlib
from collections.abc import AsyncIterator
from typing import Annotated, Literal, Protocol, Self

from fastapi import APIRouter, Depends, Query
from fastapi import Request as HttpRequest
from fastapi.responses import HTMLResponse
from fastapi.responses import Response as HttpResponse
from fastapi.sse import EventSourceResponse
from pydantic import ConfigDict, Field, model_validator

from .analyzer import AnalysisResponse, Usage
from .common import (
    CONDITIONAL,
    TAGGED,
    Artifact,
    Identifier,
    LastEventId,
    Request,
    Sha256,
    Text,
    implementation_of,
    problems,
    sent,
)
from .experiment import Limits
from .planning import Plan, SpecCheck
from .progress import Experiment, ExperimentList, ExperimentState, Flow, Phase, PhaseName, PhaseState, Spent
from .provenance import Default, Manifest
from .queries import ExperimentQuery, Missing, PageQuery, ResponseQuery
from .records import RecordedJudgment, ResponsePage, ResponseRecord

__all__ = [
    "Coordinator",
    "Default",
    "Experiment",
    "ExperimentList",
    "ExperimentQuery",
    "ExperimentState",
    "Flow",
    "Manifest",
    "Missing",
    "PageQuery",
    "Phase",
    "PhaseName",
    "PhaseState",
    "Plan",
    "RecordedJudgment",
    "ResponsePage",
    "ResponseQuery",
    "ResponseRecord",
    "Resumption",
    "SpecCheck",
    "Spent",
    "Submission",
    "Usage",
]  # one name for the whole contract

NAME = "coordinator"
VERSION = "1.3.0"
PORT = 8000


class ZipResponse(HttpResponse):
    media_type = "application/zip"


class Submission(Request):
    """An experiment file as written, and the local files that it names, uploaded before."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "spec": "name: example\nlanguages: [en]\n...",
                    "source": "example.yaml",
                    "files": {"data/items.jsonl": {"uri": "artifact:file-5f0c1a", "sha256": "0" * 64, "bytes": 9}},
                }
            ]
        }
    )

    spec: Text = Field(min_length=1, max_length=1_000_000, description="YAML; see experiment.v1.schema.json.")
    source: Text = Field(default="experiment.yaml", max_length=1000, description="Its name, for messages.")
    files: dict[str, Artifact] = Field(default={}, description="By the path that the spec gives.")
    reuse: bool = Field(default=True, description="false: as `reuse: false` in the spec.")
    only: Literal["judge", "analyze"] | None = Field(
        default=None, description="Begin with this phase, on what another experiment recorded."
    )
    recorded_in: Identifier | None = Field(
        default=None, description="That experiment; by default the newest that fits."
    )

    @model_validator(mode="after")
    def _recorded_for_something(self) -> Self:
        if self.recorded_in is not None and self.only is None:
            raise ValueError("recorded_in needs only: judge or analyze")
        return self


class Resumption(Request):
    """`limits` replaces those that it names; null removes one."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"limits": {"calls": 20000}}]})

    limits: Limits | None = None


class Coordinator(Protocol):
    async def upload(self, sha256: str, content: bytes) -> Artifact:
        """Keep a file, or raise `digest-mismatch`."""

    async def check_spec(self, submission: Submission) -> SpecCheck:
        """Validate fully without running, or raise `invalid-spec` with every fault and its place."""

    async def plan(self, submission: Submission) -> Plan: ...

    async def put(self, id: str, submission: Submission) -> Experiment:
        """Start, or return what this id and spec have; `id-taken` for another spec."""

    async def list_all(self, query: ExperimentQuery) -> ExperimentList: ...

    async def get(self, id: str) -> Experiment: ...

    async def cancel(self, id: str) -> Experiment:
        """When this has returned, nothing of the experiment changes any more, until it is resumed."""

    async def pause(self, id: str) -> Experiment:
        """Begin nothing more, and keep what is under way; `has-ended`."""

    async def resume(self, id: str, resumption: Resumption) -> Experiment:
        """Go on with what is paused or was cancelled; `has-ended` for what has completed or failed."""

    async def retry(self, id: str) -> Experiment:
        """Do again what failed, and what follows from it; `goes-on` before the end."""

    def events(self, id: str) -> AsyncIterator[Experiment]:
        """The state now and after every change, until it has ended."""

    async def responses(self, id: str, query: ResponseQuery) -> ResponsePage: ...

    async def results(self, id: str) -> AnalysisResponse: ...

    async def manifest(self, id: str) -> Manifest: ...

    async def report(self, id: str) -> str:
        """The HTML, or `not-finished`."""

    async def report_folder(self, id: str) -> bytes:
        """A ZIP file of the report's folder, or `not-finished`."""


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
async def check(submission: Submission, coordinator: Implementation) -> SpecCheck:
    """Validate an experiment file and say what a run would do."""
    return await coordinator.check_spec(submission)


@router.post("/plans", operation_id="plan_experiment", responses=problems())
async def plan(submission: Submission, coordinator: Implementation) -> Plan:
    """What `check_experiment` says, and what a run would cost and could find, by earlier experiments here."""
    return await coordinator.plan(submission)


@router.put("/experiments/{id}", operation_id="put_experiment", status_code=202, responses=problems(409))
async def put(id: Identifier, submission: Submission, coordinator: Implementation) -> Experiment:
    """Start an experiment under an id of the caller's choice; repeating the request is harmless."""
    return await coordinator.put(id, submission)


@router.get("/experiments", operation_id="list_experiments", responses=problems())
async def list_all(coordinator: Implementation, query: Annotated[ExperimentQuery, Query()]) -> ExperimentList:
    """Newest first, page by page."""
    return await coordinator.list_all(query)


@router.get(
    "/experiments/{id}", operation_id="get_experiment", dependencies=[CONDITIONAL], responses=TAGGED | problems(404)
)
async def get(id: Identifier, coordinator: Implementation) -> Experiment:
    return await coordinator.get(id)


@router.post("/experiments/{id}/cancel", operation_id="cancel_experiment", status_code=202, responses=problems(404))
async def cancel(id: Identifier, coordinator: Implementation) -> Experiment:
    """End it. When this has returned, nothing of it changes any more; it can be resumed."""
    return await coordinator.cancel(id)


@router.post("/experiments/{id}/pause", operation_id="pause_experiment", status_code=202, responses=problems(404, 409))
async def pause(id: Identifier, coordinator: Implementation) -> Experiment:
    """Begin nothing more until it is resumed; requests under way are still answered and kept."""
    return await coordinator.pause(id)


@router.post(
    "/experiments/{id}/resume", operation_id="resume_experiment", status_code=202, responses=problems(404, 409)
)
async def resume(id: Identifier, coordinator: Implementation, resumption: Resumption = Resumption()) -> Experiment:
    """Go on with an experiment that is paused or was cancelled, perhaps with other limits; harmless while it runs."""
    return await coordinator.resume(id, resumption)


@router.post("/experiments/{id}/retry", operation_id="retry_experiment", status_code=202, responses=problems(404, 409))
async def retry(id: Identifier, coordinator: Implementation) -> Experiment:
    """Do again, in an experiment that does not run, the items that failed and what follows from them, and no others."""
    return await coordinator.retry(id)


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
    id: Identifier, coordinator: Implementation, query: Annotated[ResponseQuery, Query()]
) -> ResponsePage:
    """Every item under every arm in every language, also those without a response, in that order, page by page."""
    return await coordinator.responses(id, query)


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


@router.get(
    "/experiments/{id}/report/folder",
    operation_id="get_report_folder",
    response_class=ZipResponse,
    dependencies=[CONDITIONAL],
    responses=TAGGED | problems(404, 409),
)
async def report_folder(id: Identifier, coordinator: Implementation) -> ZipResponse:
    """The report with its tables (CSV, LaTeX) and figures (SVG, PDF) as one ZIP file."""
    return ZipResponse(await coordinator.report_folder(id))
