"""The coordinator's operations on experiments."""

import asyncio
import hashlib
import io
import json
import logging
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

from plumbline_contracts import coordinator as contract
from plumbline_contracts import trainer
from plumbline_contracts.analyzer import AnalysisResponse
from plumbline_contracts.common import Artifact, Info
from plumbline_contracts.results import completed
from plumbline_kit.artifacts import open_store
from plumbline_kit.errors import ProblemError

from . import __version__, listing, planning, provenance
from .check import check
from .disk import full
from .progress import progress
from .run import Run
from .settings import Settings
from .stages.train import used_trainings
from .store import Store
from .transactions import GOING_ON
from .workflows import Workflows

log = logging.getLogger(__name__)
_EVENTS_S = 0.3
_PREEMPTED_S = 1.5  # the workflow engine looks once a second for what was cancelled


class CoordinatorService:
    def __init__(self, store: Store, workflows: Workflows, settings: Settings) -> None:
        self.store, self.workflows, self.settings = store, workflows, settings
        self.artifacts = open_store(settings)

    def _run(self, id: str) -> Run:
        return Run(id, self.store, self.settings)

    async def upload(self, sha256: str, content: bytes) -> Artifact:
        found = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
        if found != sha256:
            raise ProblemError(422, "digest-mismatch", f"The content has sha256 {found}, the path says {sha256}.")
        return await asyncio.to_thread(self.artifacts.put_bytes, content, "file")

    async def check(self) -> None:
        """The database alone: while artifacts are away, this is where people see what waits for them."""
        await asyncio.to_thread(self.store.ask)

    async def check_spec(self, submission: contract.Submission) -> contract.SpecCheck:
        return (await check(submission, self.store, self.settings, to_run=False)).check

    async def plan(self, submission: contract.Submission) -> contract.Plan:
        return await planning.plan(submission, self.store, self.settings)

    async def put(self, id: str, submission: contract.Submission) -> contract.Experiment:
        sha256 = _digest(submission)
        if not await asyncio.to_thread(self.store.exists, id):
            checked = await check(submission, self.store, self.settings, to_run=True)
            given = submission.spec, submission.source, submission.files, sha256
            await asyncio.to_thread(self.store.create, id, checked.spec, *given, checked.recorded)
        row = await asyncio.to_thread(self.store.get, id)
        if row.spec_sha256 != sha256:
            detail = f"The id {id!r} is that of another experiment file ({row.name!r}, {row.state}); choose another id."
            raise ProblemError(409, "id-taken", detail)
        if row.state in GOING_ON:
            await self.workflows.start(id, row.attempt)
        return await self.get(id)

    async def list_all(self, query: contract.ExperimentQuery) -> contract.ExperimentList:
        return await asyncio.to_thread(listing.experiments, self.store, query)

    async def get(self, id: str) -> contract.Experiment:
        row = await asyncio.to_thread(self.store.get, id)
        trouble = await asyncio.to_thread(full, self.settings, self.store.engine)
        return await asyncio.to_thread(progress, self.store, row, trouble)

    async def cancel(self, id: str) -> contract.Experiment:
        # In this order: nothing that another process takes over in between does any more work.
        await asyncio.to_thread(self.store.cancel, id)
        row = await asyncio.to_thread(self.store.get, id)
        if row.state == contract.ExperimentState.CANCELLED:
            await self.workflows.cancel(id, row.attempt)
            await self._cancel_trainings(id)
        return await self.get(id)

    async def pause(self, id: str) -> contract.Experiment:
        await asyncio.to_thread(self.store.pause, id)
        return await self.get(id)

    async def resume(self, id: str, resumption: contract.Resumption) -> contract.Experiment:
        await asyncio.to_thread(self.store.resume, id, resumption.limits)
        return await self._begun(id)

    async def retry(self, id: str) -> contract.Experiment:
        await asyncio.to_thread(self.store.retry, id)
        return await self._begun(id)

    async def _begun(self, id: str) -> contract.Experiment:
        row = await asyncio.to_thread(self.store.get, id)
        if row.state in GOING_ON:
            await self.workflows.start(id, row.attempt)
        return await self.get(id)

    async def _cancel_trainings(self, id: str) -> None:
        if not used_trainings(await asyncio.to_thread(self.store.spec, id)):
            return
        await asyncio.sleep(_PREEMPTED_S)  # a step that is under way may still start one
        for row in await asyncio.to_thread(self.store.trainings, id):
            try:
                async with self._run(id).client("trainer") as client:
                    await client.call("POST", f"/v1/trainings/{row.job}/cancel", trainer.Training)
            except ProblemError:
                log.warning("training %s was not cancelled: the trainer does not answer", row.job)

    async def events(self, id: str) -> AsyncIterator[contract.Experiment]:
        last = None
        while last is None or last.state in (*GOING_ON, contract.ExperimentState.PAUSED):
            current = await self.get(id)
            if current != last:
                yield current
                last = current
            else:
                await asyncio.sleep(_EVENTS_S)

    async def responses(self, id: str, query: contract.ResponseQuery) -> contract.ResponsePage:
        await asyncio.to_thread(self.store.get, id)
        return await asyncio.to_thread(listing.responses, self._run(id), query)

    async def results(self, id: str) -> AnalysisResponse:
        row = await asyncio.to_thread(self.store.get, id)
        if row.results is None:
            detail = f"The experiment {id!r} is {row.state}; its results are there when it has completed."
            raise ProblemError(409, "not-finished", detail)
        return AnalysisResponse.model_validate(completed(row.results))

    async def manifest(self, id: str) -> contract.Manifest:
        return provenance.stored(await asyncio.to_thread(self.store.get, id))

    async def report(self, id: str) -> str:
        artifact = (await self.results(id)).report
        return await asyncio.to_thread(lambda: self.artifacts.path(artifact).read_text("utf-8"))

    async def report_folder(self, id: str) -> bytes:
        artifact = (await self.results(id)).folder
        if artifact is None:
            detail = f"The analyzer of {id!r} made no folder; its page is at /v1/experiments/{id}/report."
            raise ProblemError(404, "no-report-folder", detail)
        return await asyncio.to_thread(lambda: _zipped(self.artifacts.path(artifact)))

    def info(self) -> Info:
        return Info(
            contract=f"{contract.NAME}/{contract.VERSION}",
            implementation=f"dbos-{self.store.engine.dialect.name}",
            version=__version__,
            model=None,
            revision=None,
            description="Runs experiments as durable workflows.",
        )


def _digest(submission: contract.Submission) -> str:
    """What makes two submissions the same: the text and the content of its files."""
    files = {path: artifact.sha256 for path, artifact in submission.files.items()}
    options = submission.model_dump(include={"reuse", "only", "recorded_in"}, exclude_defaults=True)
    parts = [submission.spec, files, *([options] if options else [])]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _zipped(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return buffer.getvalue()
