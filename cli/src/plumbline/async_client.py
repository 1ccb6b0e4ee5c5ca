"""The asynchronous Python client: everything that the coordinator does, as coroutines."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Annotated, Self, TypeVar

from plumbline_contracts.analyzer import AnalysisResponse
from plumbline_contracts.common import Artifact, Identifier
from plumbline_contracts.coordinator import (
    Experiment,
    ExperimentList,
    ExperimentQuery,
    ExperimentState,
    Manifest,
    PageQuery,
    Plan,
    ResponsePage,
    ResponseQuery,
    ResponseRecord,
    Resumption,
    SpecCheck,
    Submission,
)
from plumbline_contracts.experiment import Limits
from plumbline_kit.client import ServiceClient, Unreachable, is_transient
from plumbline_kit.errors import ProblemError
from pydantic import SecretStr, StringConstraints, TypeAdapter, ValidationError

from .experiment_file import ExperimentFile, LocalFile

DEFAULT_URL = "http://127.0.0.1:8000"
ENDED = frozenset({ExperimentState.COMPLETED, ExperimentState.FAILED, ExperimentState.CANCELLED})
STILL = ENDED | {ExperimentState.PAUSED}  # nothing happens until somebody, or something, has done its part
_RECONNECT_S = 1.0
_CHUNK_BYTES = 256 * 1024
Listed = TypeVar("Listed", ExperimentList, ResponsePage)
_ID: TypeAdapter[str] = TypeAdapter(Identifier)
_URL: TypeAdapter[str] = TypeAdapter(Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#]+[^\s?#]*$")])
Sent = Callable[[LocalFile, int], object]
Waiting = Callable[[ProblemError], object]


def unheard(*_: object) -> None:
    """Nobody listens."""


class AsyncPlumblineClient:
    """A coordinator, for programs with an event loop of their own. PlumblineClient is the same as blocking calls.

    Every method raises `plumbline_kit.errors.ProblemError` (its `kind` is the coordinator's, and is named below where
    it is particular) when the answer is an error, and its kind `plumbline_kit.client.Unreachable` when nobody answers.
    What may pass (429, 503, a broken connection) is tried three times.
    """

    def __init__(self, url: str = DEFAULT_URL, token: str | None = None) -> None:
        """`invalid-request` if `url` is no http address. `token` is the PLUMBLINE_TOKEN of the coordinator."""
        self.url = _checked(_URL, url, "address of a coordinator", "http://127.0.0.1:8000").rstrip("/")
        # Longer than the coordinator's pings in a stream, which come every 15 seconds.
        self._service = ServiceClient(self.url, SecretStr(token) if token else None, timeout=120, attempts=3)

    async def __aenter__(self) -> Self:
        await self._service.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._service.__aexit__(kind, error, trace)

    # --- begin ---

    async def upload(self, file: LocalFile, sent: Sent = unheard) -> Artifact:
        """Upload one local file; `sent` hears how many bytes of it are on their way. Repeating it is harmless.

        Raises `digest-mismatch` when the file has changed since it was read.
        """
        content = _Content(file.location, lambda position: sent(file, position))
        path = f"/v1/files/{file.sha256}"
        return Artifact.model_validate_json(await self._service.send("PUT", path, content, "application/octet-stream"))

    async def submission(self, experiment: ExperimentFile, sent: Sent = unheard) -> Submission:
        """Upload the local files of an experiment, as `upload` does; return what `check` and `submit` take."""
        files = {file.path: await self.upload(file, sent) for file in experiment.files}
        return Submission(spec=experiment.text, source=experiment.source, files=files)

    async def check(self, submission: Submission | ExperimentFile) -> SpecCheck:
        """What a run would do; runs nothing. Raises `invalid-spec`, whose `errors` name every fault and its place."""
        return await self._service.call("POST", "/v1/checks", SpecCheck, await self._submission(submission))

    async def plan(self, submission: Submission | ExperimentFile) -> Plan:
        """What a run would do, cost and could find; runs nothing. Raises `invalid-spec` as `check` does."""
        return await self._service.call("POST", "/v1/plans", Plan, await self._submission(submission))

    async def submit(self, submission: Submission | ExperimentFile, id: str | None = None) -> Experiment:
        """Start an experiment, or find it where this id and content are known already.

        The default id of a file is made of its content; a bare submission needs one (`ValueError`). Raises
        `invalid-spec` as `check` does, and `id-taken` when the id is that of another content.
        """
        if id is None:
            if not isinstance(submission, ExperimentFile):
                raise ValueError("a bare submission needs an id")
            id = submission.default_id
        return await self._service.call("PUT", _path(id), Experiment, await self._submission(submission))

    async def _submission(self, given: Submission | ExperimentFile) -> Submission:
        return await self.submission(given) if isinstance(given, ExperimentFile) else given

    # --- follow ---

    async def experiments(self, query: ExperimentQuery | None = None) -> AsyncIterator[Experiment]:
        """Newest first; those of `query`, if given."""
        async for page in self.experiment_pages(query):
            for experiment in page.experiments:
                yield experiment

    def experiment_pages(self, query: ExperimentQuery | None = None) -> AsyncIterator[ExperimentList]:
        return self._pages("/v1/experiments", ExperimentList, query or ExperimentQuery())

    async def experiment(self, id: str) -> Experiment:
        """How far it is. Raises `unknown-experiment`, as does everything below that takes an id."""
        return await self._service.call("GET", _path(id), Experiment)

    async def cancel(self, id: str) -> Experiment:
        """End it; what it has produced is kept. Harmless when it has ended."""
        return await self._service.call("POST", _path(id) + "/cancel", Experiment)

    async def pause(self, id: str) -> Experiment:
        """Begin nothing more until it is resumed; requests under way are still kept. Raises `has-ended`."""
        return await self._service.call("POST", _path(id) + "/pause", Experiment)

    async def resume(self, id: str, limits: Limits | None = None) -> Experiment:
        """Go on with what is paused or was cancelled; `limits` replace those of its file. Harmless while it runs.

        Raises `has-ended` when it has completed or failed: what failed can be retried.
        """
        return await self._service.call("POST", _path(id) + "/resume", Experiment, Resumption(limits=limits))

    async def retry(self, id: str) -> Experiment:
        """Do again the items that failed and what follows from them, and no others. Raises `goes-on` before the end.

        Where nothing has failed, its `attempt` stays as it was.
        """
        return await self._service.call("POST", _path(id) + "/retry", Experiment)

    async def watch(self, id: str, *, patience: float = 300, waiting: Waiting = unheard) -> AsyncGenerator[Experiment]:
        """The experiment now and after every change, until it has ended or is paused.

        When the coordinator goes away, `waiting` hears why, and the watch goes on when it is back within `patience`
        seconds; otherwise it raises what was heard last.
        """
        last_heard = time.monotonic()
        while True:
            broken: ProblemError = Unreachable(self.url, "it ended the stream of events")
            heard = False
            try:
                async with aclosing(self._events(id)) as events:
                    async for experiment in events:
                        yield experiment
                        if experiment.state in STILL:
                            return
                        heard = True
            except ProblemError as error:
                broken = error
            if heard:  # until just now, however long nothing had changed
                last_heard = time.monotonic()
            if not is_transient(broken) or time.monotonic() - last_heard > patience:
                raise broken
            waiting(broken)
            await asyncio.sleep(_RECONNECT_S)

    async def _events(self, id: str) -> AsyncGenerator[Experiment]:
        path = _path(id) + "/events"
        stream = self._service.stream(path, Experiment)
        assert isinstance(stream, AsyncGenerator)
        try:
            async with aclosing(stream):
                async for sent in stream:
                    yield sent
        except ValidationError as error:
            detail = f"GET {self.url}{path} sent an unknown event: {error}"
            raise ProblemError(500, "contract-broken", detail) from error

    async def wait(self, id: str, *, patience: float = 300) -> Experiment:
        """The experiment as it ended or is paused, which its `state` says.

        For a limit: `async with asyncio.timeout(3600): await client.wait(id)`; the experiment goes on.
        """
        async with aclosing(self.watch(id, patience=patience)) as states:
            async for experiment in states:
                if experiment.state in STILL:
                    return experiment
        raise AssertionError("a watch ends with the experiment, or raises")

    # --- read ---

    async def responses(self, id: str, query: ResponseQuery | None = None) -> AsyncIterator[ResponseRecord]:
        """Every item under every arm in every language, with its detections and judgments; those of `query`, if given.

        Read page by page: memory does not grow with the experiment.
        """
        async for page in self.response_pages(id, query):
            for record in page.responses:
                yield record

    def response_pages(self, id: str, query: ResponseQuery | None = None) -> AsyncIterator[ResponsePage]:
        return self._pages(_path(id) + "/responses", ResponsePage, query or ResponseQuery(limit=500))

    async def _pages(self, path: str, answer: type[Listed], query: PageQuery) -> AsyncIterator[Listed]:
        options = query.model_dump(mode="json", exclude_defaults=True)
        while True:
            page = await self._service.call("GET", path, answer, None, **options)
            yield page
            if page.next is None:
                return
            options["after"] = page.next

    async def results(self, id: str) -> AnalysisResponse:
        """What the analyzer found. Raises `not-finished` before that."""
        return await self._service.call("GET", _path(id) + "/results", AnalysisResponse)

    async def manifest(self, id: str) -> Manifest:
        """What the experiment was made of: spec, services, versions, digests."""
        return await self._service.call("GET", _path(id) + "/manifest", Manifest)

    async def report(self, id: str) -> str:
        """The report, one self-contained HTML page. Raises `not-finished` before there is one."""
        return (await self._service.send("GET", _path(id) + "/report")).decode()

    async def report_folder(self, id: str) -> bytes:
        """The report with its tables and figures, as a ZIP file. Raises `not-finished` before there is one."""
        return await self._service.send("GET", _path(id) + "/report/folder")


def _path(id: str) -> str:
    return f"/v1/experiments/{_checked(_ID, id, 'id', 'quickstart-5f0c1a2b')}"


def _checked(kind: TypeAdapter[str], given: str, name: str, example: str) -> str:
    try:
        return kind.validate_python(given)
    except ValidationError as error:
        raise ProblemError(422, "invalid-request", f"{given!r} is not an {name} such as {example}.") from error


class _Content:
    """A file as the body of a request. It starts over whenever it is read, so that a retry sends all of it."""

    def __init__(self, path: Path, sent: Callable[[int], object]) -> None:
        self.path, self.sent = path, sent

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        with self.path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk
                self.sent(file.tell())
