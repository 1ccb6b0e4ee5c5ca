"""The contract's operations on jobs. This process never imports torch; the training processes do."""

import tempfile
from collections.abc import AsyncIterator
from importlib.metadata import version

import anyio
from anyio.to_thread import run_sync
from plumbline_contracts import trainer as contract
from plumbline_contracts.common import Info
from plumbline_kit.artifacts import open_store
from plumbline_kit.errors import ProblemError

from . import __version__
from .jobs import ENDED, JobStore
from .models import require
from .settings import Engine, Settings
from .supervisor import Supervisor

_POLL_S = 0.2
_DESCRIPTIONS: dict[Engine, str] = {
    "trl": "Trains with TRL {trl} on transformers {transformers}.",
    "dry_run": "Does not train: reads the data, counts the steps and returns the base weights unchanged.",
}


class JobTrainer:
    def __init__(self, settings: Settings, store: JobStore, supervisor: Supervisor) -> None:
        self.settings, self.store, self.supervisor = settings, store, supervisor
        self.artifacts = open_store(settings)

    async def put(self, id: str, request: contract.TrainingRequest) -> contract.Training:
        if not await run_sync(self.store.exists, id):
            await run_sync(self._check_request, request)
            try:
                new = await run_sync(self.store.create, id, request)
            except OSError as error:
                raise self._unusable(error) from error
            if new:
                self.supervisor.enqueue(id)
        await run_sync(self.store.compare, id, request)
        return await self.get(id)

    def _check_request(self, request: contract.TrainingRequest) -> None:
        """What can be known at once is said at once; digests and lines are checked by the job."""
        self.artifacts.require(request.data.uri)
        if self.settings.engine == "trl":
            require(request.model, self.settings.plan, self.artifacts)

    async def get(self, id: str) -> contract.Training:
        return await run_sync(self._get, id)

    def _get(self, id: str) -> contract.Training:
        job = self.store.read(id)
        return contract.Training(
            id=id,
            state=job.state,
            progress=self.store.progress(id),
            cause=job.cause,
            weights=job.weights,
            weights_sha256=job.weights_sha256 or (job.weights and job.weights.sha256),
            created=job.created,
            started=job.started,
            finished=job.finished,
        )

    async def cancel(self, id: str) -> contract.Training:
        await self.supervisor.cancel(id)
        return await self.get(id)

    async def events(self, id: str) -> AsyncIterator[contract.TrainingEvent]:
        offset, number = 0, 1
        while True:
            # The state before the history: an end is written to the history first.
            ended = (await run_sync(self.store.read, id)).state in ENDED
            events, offset = await run_sync(self.store.events, id, offset, number)
            number += len(events)
            for event in events:
                yield event
            if ended:
                return
            await anyio.sleep(_POLL_S)

    async def check(self) -> None:
        try:
            await run_sync(self._probe)
        except OSError as error:
            raise self._unusable(error) from error
        await run_sync(self.artifacts.check)

    def _probe(self) -> None:
        with tempfile.TemporaryFile(dir=self.store.root) as file:
            file.write(b"ready")

    def _unusable(self, error: OSError) -> ProblemError:
        detail = f"The jobs folder {self.store.root} cannot be written: {error.strerror}."
        return ProblemError(503, "jobs-folder", detail, retry_after=30)

    def info(self) -> Info:
        engine = self.settings.engine
        versions = {} if engine == "dry_run" else {name: version(name) for name in ("trl", "transformers")}
        return Info(
            contract=f"{contract.NAME}/{contract.VERSION}",
            implementation=engine,
            version=__version__,
            model=None if engine == "dry_run" else "named in each request",
            revision=None,
            description=_DESCRIPTIONS[engine].format(**versions),
        )
