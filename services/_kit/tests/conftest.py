"""A service made of the kit alone, as a real process would serve it."""

import asyncio
import socket
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import ModuleType

import pytest
import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi import Request as HttpRequest
from fastapi.sse import EventSourceResponse
from plumbline_contracts.common import CONDITIONAL, REPEATABLE, TAGGED, Info, LastEventId, Request, problems, sent
from plumbline_contracts.operations import Service
from plumbline_kit.app import create_app
from plumbline_kit.artifacts import ArtifactStore, open_store
from plumbline_kit.errors import ProblemError
from plumbline_kit.settings import ServiceSettings, StoreSettings

from tests.s3 import Line, S3Server, line_to_s3, s3_server  # noqa: F401  two are fixtures

router = APIRouter(prefix="/v1")


class Thing(Request):
    name: str


@router.post("/things", operation_id="make_thing")
async def make_thing(thing: Thing) -> Thing:
    return thing


@router.get("/things/{name}", operation_id="get_thing", dependencies=[CONDITIONAL], responses=TAGGED | problems(404))
async def get_thing(name: str) -> Thing:
    if name == "absent":
        raise ProblemError(404, "unknown-thing", "There is none.")
    return Thing(name=name)


@router.post("/works", operation_id="work", dependencies=[REPEATABLE], responses=problems(409))
async def work(thing: Thing, request: HttpRequest) -> Thing:
    """Costly: counted, slow where the name says so, refused the first time where it says so."""
    counts: dict[str, int] = request.app.state.counts
    counts[thing.name] = counts.get(thing.name, 0) + 1
    if "slow" in thing.name:
        await request.app.state.may_end.wait()
    if "fails" in thing.name and counts[thing.name] == 1:
        raise ProblemError(503, "not-ready", "Not yet.")
    return Thing(name=f"{thing.name} {counts[thing.name]}")


@router.get("/ticks", operation_id="watch", response_class=EventSourceResponse)
async def ticks(request: HttpRequest, last_event_id: LastEventId = None) -> AsyncIterator[Thing]:
    """Three events, the last one after a while."""
    for number in range(int(last_event_id or 0) + 1, 4):
        if number == 3:
            await request.app.state.may_end.wait()
        yield sent(Thing(name=str(number)), str(number))


@router.get("/failures/{kind}", operation_id="fail")
async def fail(kind: str, request: HttpRequest) -> Thing:
    """Fails twice as asked, then answers."""
    counts: dict[str, int] = request.app.state.counts
    counts[kind] = counts.get(kind, 0) + 1
    if kind == "crash":
        raise RuntimeError("a bug")
    if kind == "busy" and counts[kind] <= 2:
        raise ProblemError(429, "busy", "Too many at once.", retry_after=1)
    if kind == "wrong":
        raise ProblemError(422, "wrong", "This is wrong.")
    return Thing(name=str(counts[kind]))


class Small:
    able = True

    async def check(self) -> None:
        if not self.able:
            raise ProblemError(503, "not-ready", "The model is loading.", retry_after=5)

    def info(self) -> Info:
        return Info(
            contract="small/1.0.0", implementation="small", version="1", model=None, revision=None, description="Small."
        )


def small_app(settings: ServiceSettings, service: Small) -> FastAPI:
    contract = ModuleType("small", "A small contract.")
    contract.__dict__.update(NAME="small", VERSION="1.0.0", router=router)

    @asynccontextmanager
    async def load() -> AsyncIterator[Service]:
        yield service

    app = create_app(contract, load, settings)
    app.state.counts, app.state.may_end = {}, asyncio.Event()
    return app


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """A real server on a free port; yields its URL."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def small() -> Small:
    return Small()


@pytest.fixture
def app(small: Small) -> FastAPI:
    return small_app(ServiceSettings(port=0, PLUMBLINE_MAX_REQUEST_BYTES=1000), small)


@pytest.fixture
def url(app: FastAPI) -> Iterator[str]:
    with serving(app) as found:
        yield found


@pytest.fixture
def guarded_url(small: Small) -> Iterator[str]:
    with serving(small_app(ServiceSettings(port=0, PLUMBLINE_TOKEN="secret"), small)) as found:
        yield found


@pytest.fixture
def prefix() -> str:
    """A part of the bucket for one test."""
    return f"/{uuid.uuid4().hex}"


@pytest.fixture
def variables(s3: S3Server, line: Line, prefix: str, tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """The variables of a machine by name: each has a cache of its own, all are behind the line."""
    return lambda machine: s3.settings(line.port, prefix) | {"PLUMBLINE_ARTIFACTS_DIR": str(tmp_path / machine)}


@pytest.fixture
def machine(variables: Callable[[str], dict[str, str]]) -> Callable[[str], ArtifactStore]:
    """The S3 store as a machine of this name sees it."""
    return lambda name: open_store(StoreSettings.model_validate(variables(name)))
