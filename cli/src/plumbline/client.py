"""The public Python client: everything that the coordinator does, as plain blocking calls."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, aclosing
from queue import SimpleQueue
from types import TracebackType
from typing import Self, TypeVar

from anyio.from_thread import start_blocking_portal
from plumbline_contracts.analyzer import AnalysisResponse
from plumbline_contracts.common import Artifact
from plumbline_contracts.coordinator import (
    Experiment,
    ExperimentQuery,
    Manifest,
    Plan,
    ResponseQuery,
    ResponseRecord,
    SpecCheck,
    Submission,
)
from plumbline_contracts.experiment import Limits
from plumbline_kit.errors import ProblemError

from .async_client import DEFAULT_URL, ENDED, AsyncPlumblineClient, Sent, Waiting, unheard
from .experiment_file import ExperimentFile, LocalFile

__all__ = ["DEFAULT_URL", "ENDED", "PlumblineClient"]
Result = TypeVar("Result")


class PlumblineClient:
    """A coordinator, for scripts and notebooks. It works inside a running event loop too.

    The same as AsyncPlumblineClient, whose docstrings say what each call does and raises: the coordinator's problems
    as `plumbline_kit.errors.ProblemError`, and `plumbline_kit.client.Unreachable` when nobody answers.

        with PlumblineClient() as plumbline:
            experiment = plumbline.submit(ExperimentFile.read("experiments/quickstart.yaml"))
            ended = plumbline.wait(experiment.id)
            print(ended.state, *plumbline.results(experiment.id).findings, sep="\\n")
    """

    def __init__(self, url: str = DEFAULT_URL, token: str | None = None) -> None:
        self._client = AsyncPlumblineClient(url, token)
        self.url = self._client.url
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._portal = self._stack.enter_context(start_blocking_portal())
        self._stack.enter_context(self._portal.wrap_async_context_manager(self._client))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def upload(self, file: LocalFile, sent: Sent = unheard) -> Artifact:
        """Upload one local file; `sent` hears how many bytes of it are on their way."""
        return self._call(lambda: self._client.upload(file, sent))

    def submission(self, experiment: ExperimentFile, sent: Sent = unheard) -> Submission:
        """Upload the local files of an experiment; repeating it is harmless."""
        return self._call(lambda: self._client.submission(experiment, sent))

    def check(self, submission: Submission | ExperimentFile) -> SpecCheck:
        """What a run would do; `invalid-spec` names every fault and its place."""
        return self._call(lambda: self._client.check(submission))

    def plan(self, submission: Submission | ExperimentFile) -> Plan:
        """What a run would do, cost and could find; runs nothing."""
        return self._call(lambda: self._client.plan(submission))

    def submit(self, submission: Submission | ExperimentFile, id: str | None = None) -> Experiment:
        """Start an experiment, or find it where this id and content are known already."""
        return self._call(lambda: self._client.submit(submission, id))

    def experiments(self, query: ExperimentQuery | None = None) -> Iterator[Experiment]:
        """Newest first; those of `query`, if given."""
        for page in self._pages(self._client.experiment_pages(query)):
            yield from page.experiments

    def experiment(self, id: str) -> Experiment:
        """How far it is, or the problem `unknown-experiment`."""
        return self._call(lambda: self._client.experiment(id))

    def cancel(self, id: str) -> Experiment:
        """End it; what it has produced is kept."""
        return self._call(lambda: self._client.cancel(id))

    def pause(self, id: str) -> Experiment:
        """Begin nothing more until it is resumed, or the problem `has-ended`."""
        return self._call(lambda: self._client.pause(id))

    def resume(self, id: str, limits: Limits | None = None) -> Experiment:
        """Go on with what is paused or was cancelled, perhaps with other limits, or the problem `has-ended`."""
        return self._call(lambda: self._client.resume(id, limits))

    def retry(self, id: str) -> Experiment:
        """Do again what failed in an experiment that has ended, and nothing else, or the problem `goes-on`."""
        return self._call(lambda: self._client.retry(id))

    def watch(self, id: str, *, patience: float = 300, waiting: Waiting = unheard) -> Iterator[Experiment]:
        """The experiment now and after every change, until it has ended or is paused.

        When the coordinator goes away, `waiting` hears why, and the watch goes on when it is back within `patience`
        seconds.
        """
        received: SimpleQueue[Experiment | ProblemError | None] = SimpleQueue()

        async def read() -> None:
            # One task from start to end, so that ending it early closes the stream in order.
            try:
                async with aclosing(self._client.watch(id, patience=patience, waiting=received.put)) as states:
                    async for experiment in states:
                        received.put(experiment)
            finally:
                received.put(None)

        reading = self._portal.start_task_soon(read)
        try:
            while (heard := received.get()) is not None:
                if isinstance(heard, ProblemError):
                    waiting(heard)
                else:
                    yield heard
            reading.result()
        finally:
            reading.cancel()

    def wait(self, id: str, *, timeout: float | None = None, patience: float = 300) -> Experiment:
        """The experiment as it ended, whichever way, or is paused; TimeoutError after `timeout` seconds."""

        async def within() -> Experiment:
            async with asyncio.timeout(timeout):
                return await self._client.wait(id, patience=patience)

        return self._call(within)

    def responses(self, id: str, query: ResponseQuery | None = None) -> Iterator[ResponseRecord]:
        """Every item under every arm in every language, with all that became of it; those of `query`, if given."""
        for page in self._pages(self._client.response_pages(id, query)):
            yield from page.responses

    def results(self, id: str) -> AnalysisResponse:
        """What the analyzer found, or the problem `not-finished`."""
        return self._call(lambda: self._client.results(id))

    def manifest(self, id: str) -> Manifest:
        """What the experiment was made of: spec, services, versions, digests."""
        return self._call(lambda: self._client.manifest(id))

    def report(self, id: str) -> str:
        """The report, one self-contained HTML page, or the problem `not-finished`."""
        return self._call(lambda: self._client.report(id))

    def report_folder(self, id: str) -> bytes:
        """The report with its tables and figures, as a ZIP file."""
        return self._call(lambda: self._client.report_folder(id))

    def _call(self, make: Callable[[], Awaitable[Result]]) -> Result:
        return self._portal.call(make)

    def _pages(self, pages: AsyncIterator[Result]) -> Iterator[Result]:
        """Nothing is open between two pages, so any task may ask for the next."""

        async def following() -> Result | None:
            return await anext(pages, None)

        while (page := self._portal.call(following)) is not None:
            yield page
