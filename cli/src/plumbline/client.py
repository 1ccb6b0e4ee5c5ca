"""The public Python client: everything that the coordinator does, as plain blocking calls."""

import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, aclosing
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Annotated, Any, Self, TypeVar

from anyio.from_thread import start_blocking_portal
from plumbline_contracts.analyzer import AnalysisResponse
from plumbline_contracts.common import Artifact, Identifier
from plumbline_contracts.coordinator import (
    Check,
    Experiment,
    ExperimentList,
    ExperimentState,
    Manifest,
    ResponsePage,
    ResponseRecord,
    Submission,
)
from plumbline_kit.client import ServiceClient, Unreachable, is_transient
from plumbline_kit.errors import ProblemError
from pydantic import BaseModel, SecretStr, StringConstraints, TypeAdapter, ValidationError

from .experiment_file import ExperimentFile, LocalFile

DEFAULT_URL = "http://127.0.0.1:8000"
ENDED = frozenset({ExperimentState.COMPLETED, ExperimentState.FAILED, ExperimentState.CANCELLED})
_RECONNECT_S = 1.0
_CHUNK_BYTES = 256 * 1024
Event = TypeVar("Event", bound=BaseModel)
_ID: TypeAdapter[str] = TypeAdapter(Identifier)
_URL: TypeAdapter[str] = TypeAdapter(Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#]+[^\s?#]*$")])
Sent = Callable[[LocalFile, int], object]


class PlumblineClient:
    """A coordinator, for scripts and notebooks. It works inside a running event loop too.

    Every method raises `plumbline_kit.errors.ProblemError` (its `kind` is the coordinator's) when the answer is an
    error, and `plumbline_kit.client.Unreachable` when there is none.

        with PlumblineClient() as plumbline:
            experiment = plumbline.submit(ExperimentFile.read("experiments/quickstart.yaml"))
            for experiment in plumbline.watch(experiment.id):
                print(experiment.state)
            print(*plumbline.results(experiment.id).findings, sep="\\n")
    """

    def __init__(self, url: str = DEFAULT_URL, token: str | None = None) -> None:
        self.url = _checked(_URL, url, "address of a coordinator", "http://127.0.0.1:8000").rstrip("/")
        self._stack = ExitStack()
        # Longer than the coordinator's pings in a stream, which come every 15 seconds.
        self._service = ServiceClient(self.url, SecretStr(token) if token else None, timeout=120, attempts=3)

    def __enter__(self) -> Self:
        self._portal = self._stack.enter_context(start_blocking_portal())
        self._stack.enter_context(self._portal.wrap_async_context_manager(self._service))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def upload(self, file: LocalFile, sent: Sent = lambda file, position: None) -> Artifact:
        """Upload one local file; `sent` hears how many bytes of it are on their way."""
        content = _Content(file.location, lambda position: sent(file, position))
        path = f"/v1/files/{file.sha256}"
        response = self._portal.call(self._service.send, "PUT", path, content, "application/octet-stream")
        return Artifact.model_validate_json(response.content)

    def submission(self, experiment: ExperimentFile, sent: Sent = lambda file, position: None) -> Submission:
        """Upload the local files of an experiment; repeating it is harmless."""
        files = {file.path: self.upload(file, sent) for file in experiment.files}
        return Submission(spec=experiment.text, source=experiment.source, files=files)

    def check(self, submission: Submission | ExperimentFile) -> Check:
        """What a run would do; `invalid-spec` names every fault and its place."""
        return self._call("POST", "/v1/checks", Check, self._submission(submission))

    def submit(self, submission: Submission | ExperimentFile, id: str | None = None) -> Experiment:
        """Start an experiment, or find it where this id and content are known already. The default id of a file is
        made of its content; a bare submission needs one."""
        if id is None:
            if not isinstance(submission, ExperimentFile):
                raise ValueError("a bare submission needs an id")
            id = submission.default_id
        return self._call("PUT", _path(id), Experiment, self._submission(submission))

    def _submission(self, given: Submission | ExperimentFile) -> Submission:
        return self.submission(given) if isinstance(given, ExperimentFile) else given

    def experiments(self) -> list[Experiment]:
        """Newest first."""
        return self._call("GET", "/v1/experiments", ExperimentList).experiments

    def experiment(self, id: str) -> Experiment:
        return self._call("GET", _path(id), Experiment)

    def cancel(self, id: str) -> Experiment:
        return self._call("POST", _path(id) + "/cancel", Experiment)

    def watch(
        self, id: str, *, patience: float = 300, waiting: Callable[[ProblemError], object] = lambda error: None
    ) -> Iterator[Experiment]:
        """The experiment now and after every change, until it has ended.

        When the coordinator goes away, `waiting` hears why, and the watch goes on when it is back within `patience`
        seconds.
        """
        last_heard = time.monotonic()
        while True:
            broken: ProblemError = Unreachable(self.url, "it ended the stream of events")
            heard = False
            try:
                for experiment in self._events(_path(id) + "/events", Experiment):
                    yield experiment
                    if experiment.state in ENDED:
                        return
                    heard = True
            except ProblemError as error:
                broken = error
            if heard:  # until just now, however long nothing had changed
                last_heard = time.monotonic()
            if not is_transient(broken) or time.monotonic() - last_heard > patience:
                raise broken
            waiting(broken)
            time.sleep(_RECONNECT_S)

    def responses(self, id: str) -> Iterator[ResponseRecord]:
        """Every item under every arm in every language, with its detections and judgments."""
        after: dict[str, str] = {}
        while True:
            page = self._call("GET", _path(id) + "/responses", ResponsePage, None, limit=500, **after)
            yield from page.responses
            if page.next is None:
                return
            after = {"after": page.next}

    def results(self, id: str) -> AnalysisResponse:
        return self._call("GET", _path(id) + "/results", AnalysisResponse)

    def manifest(self, id: str) -> Manifest:
        """What the experiment was made of: resolved spec, services, digests."""
        return self._call("GET", _path(id) + "/manifest", Manifest)

    def report(self, id: str) -> str:
        """The report, one self-contained HTML page."""
        response = self._portal.call(self._service.send, "GET", _path(id) + "/report")
        return str(response.text)

    def report_folder(self, id: str) -> bytes:
        """The report with its tables and figures, as a ZIP file."""
        response = self._portal.call(self._service.send, "GET", _path(id) + "/report/folder")
        return bytes(response.content)

    def _call(self, method: str, path: str, answer: type[Event], body: BaseModel | None = None, **query: Any) -> Event:
        return self._portal.call(lambda: self._service.call(method, path, answer, body, **query))

    def _events(self, path: str, event: type[Event]) -> Iterator[Event]:
        """One task reads the stream from its start to its end, so that ending it early closes it in order."""
        received: SimpleQueue[Event | None] = SimpleQueue()

        async def read() -> None:
            stream = self._service.stream(path, event)
            assert isinstance(stream, AsyncGenerator)
            try:
                async with aclosing(stream):
                    async for sent in stream:
                        received.put(sent)
            finally:
                received.put(None)

        reading = self._portal.start_task_soon(read)
        try:
            while (sent := received.get()) is not None:
                yield sent
            reading.result()
        except ValidationError as error:
            raise ProblemError(
                500, "contract-broken", f"GET {self.url}{path} sent an unknown event: {error}"
            ) from error
        finally:
            reading.cancel()


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
