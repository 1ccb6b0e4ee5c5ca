"""What happens around every request: its id, its log line, its metrics, its token, its size. Pure ASGI."""

import asyncio
import logging
import secrets
import time
import uuid
from collections.abc import Sequence

from prometheus_client import Counter, Histogram
from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import ProblemError, respond
from .logs import request_id

log = logging.getLogger("plumbline.access")
_REQUESTS = Counter("plumbline_requests_total", "Requests answered.", ["method", "route", "status"])
_SECONDS = Histogram(
    "plumbline_request_seconds",
    "Time to the end of the answer.",
    ["method", "route"],
    buckets=(0.005, 0.05, 0.25, 1, 5, 30, 120, 600),
)
_ENDS = "The service is shutting down and could not finish this request; send it again."
_GONE = 499  # as nginx has it: the caller closed the connection before there was an answer
_OPEN = {"/livez", "/readyz", "/metrics"}


class Observe:
    """Give the request an id (the caller's, if it sent one), log it and count it under one of `routes`."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self.app, self.routes = app, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        id = given if given.isascii() and given.replace("-", "").isalnum() and len(given) <= 64 else uuid.uuid4().hex
        token, started, status = request_id.set(id), time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = id
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except asyncio.CancelledError:
            # The service ends, and the time for requests under way is over.
            if status:
                raise
            await respond(ProblemError(503, "shutting-down", _ENDS, retry_after=1))(scope, receive, send_with_id)
        except Exception as error:
            # Here and not in an exception handler, which would run outside and without the request's id.
            response = respond(error)
            if status:
                raise
            await response(scope, receive, send_with_id)
        finally:
            route = self._route(scope)
            seconds, status = time.perf_counter() - started, status or _GONE
            _REQUESTS.labels(scope["method"], route, status).inc()
            _SECONDS.labels(scope["method"], route).observe(seconds)
            level = logging.DEBUG if route in _OPEN else logging.INFO
            log.log(level, "%s %s %s", scope["method"], route, status, extra={"seconds": round(seconds, 4)})
            request_id.reset(token)

    def _route(self, scope: Scope) -> str:
        """Its template, never the path: ids make bad labels. Also where the answer was given on the way there."""
        found = scope.get("route") or next((one for one in self.routes if one.matches(scope)[0] is Match.FULL), None)
        return getattr(found, "path", "unmatched")


class Guard:
    """Refuse a request without the configured token (401) or with too large a body (413)."""

    def __init__(self, app: ASGIApp, token: SecretStr | None, max_bytes: int) -> None:
        self.app, self.max_bytes = app, max_bytes
        self.expected = None if token is None else f"Bearer {token.get_secret_value()}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _OPEN:
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("authorization", "").encode()
        if self.expected is not None and not secrets.compare_digest(given, self.expected):
            error = ProblemError(401, "unauthorized", "Send the header Authorization: Bearer <PLUMBLINE_TOKEN>.")
            response = respond(error)
            response.headers["WWW-Authenticate"] = "Bearer"
            await response(scope, receive, send)
            return
        too_large = f"The request is larger than {self.max_bytes} bytes."
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self.max_bytes:
            await respond(ProblemError(413, "too-large", too_large))(scope, receive, send)
            return
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise HTTPException(413, too_large)  # the one kind of exception that FastAPI's body parser lets through
            return message

        await self.app(scope, receive_limited, send)
