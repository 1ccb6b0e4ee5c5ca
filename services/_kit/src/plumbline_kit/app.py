"""Build a service around its contract, and run it."""

import gc
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import ModuleType
from typing import Any, NoReturn

import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.responses import Response
from plumbline_contracts import operations
from plumbline_contracts.export import document
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.routing import BaseRoute

from . import errors, logs
from .declared import Declared, takes_header
from .etags import ETags
from .facades import Facade
from .idempotency import Idempotency
from .middleware import Guard, Observe
from .settings import ServiceSettings

log = logging.getLogger(__name__)

_NEW_OBJECTS = 20_000  # a batch of 64 judgments makes them; Python's 700 cost it a twelfth of its processor time

Load = Callable[[], AbstractAsyncContextManager[operations.Service]]


def create_app(
    contract: ModuleType, load: Load, settings: ServiceSettings, facades: Sequence[ModuleType] = ()
) -> FastAPI:
    """Serve `contract` with what `load` yields; nothing is served until it has.

    `facades` are routes in the shape of other APIs: modules with a `router` and a `refusal`. They come first, so that
    one may answer more at a path than the contract asks for.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with load() as implementation:
            log.info("ready", extra={"implementation": implementation.info().implementation})
            yield {"implementation": implementation, "describe": errors.describe}

    app = FastAPI(title=f"Plumbline {contract.NAME}", version=contract.VERSION, lifespan=lifespan)
    routes = _in_order([*(facade.router for facade in facades), contract.router, operations.router])
    app.include_router(APIRouter(routes=routes))
    described = document(contract)
    app.openapi = lambda: described  # type: ignore[method-assign]
    errors.install(app)
    app.add_middleware(ETags, tagged=Declared(described, "get", takes_header("if-none-match")))
    app.add_middleware(Idempotency, repeatable=Declared(described, "post", takes_header("idempotency-key")))
    app.add_middleware(Guard, token=settings.token, max_bytes=settings.max_request_bytes)
    app.add_middleware(Observe, routes=routes)
    for facade in facades:
        app.add_middleware(Facade, facade=facade, contract=contract)

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app


def _in_order(routers: Sequence[APIRouter]) -> list[BaseRoute]:
    """The first that fits answers, so whatever takes any path below its own comes after all that name theirs."""
    routes = [route for router in routers for route in router.routes]
    return sorted(routes, key=lambda route: ":path}" in getattr(route, "path", ""))


def serve(contract: ModuleType, load: Load, settings: ServiceSettings, facades: Sequence[ModuleType] = ()) -> None:
    """Run until SIGTERM or SIGINT: no new requests, `grace_seconds` for those under way, then an end with status 0."""
    logs.configure(contract.NAME, settings.log_level)
    signal.signal(signal.SIGTERM, _end)
    uvicorn.run(
        create_app(contract, _settled(load), settings, facades),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=settings.grace_seconds,
    )


def _settled(load: Load) -> Load:
    """Modules, and what is made at the start, stay: left to it, the garbage collector would look at all of them again
    and again, a tenth of a second each time, in which nothing is answered. And it looks less often at what is new."""

    @asynccontextmanager
    async def settled() -> AsyncIterator[operations.Service]:
        async with load() as implementation:
            gc.collect()
            gc.freeze()
            gc.set_threshold(_NEW_OBJECTS)
            yield implementation

    return settled


def _end(*_: object) -> NoReturn:
    """Uvicorn sends the signal on when all is closed. What threads do for requests given up is not waited for."""
    logging.shutdown()
    os._exit(0)
