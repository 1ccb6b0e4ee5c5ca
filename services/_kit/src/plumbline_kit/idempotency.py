"""Requests under an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header) are done once. Pure ASGI."""

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .declared import Declared
from .disconnects import while_connected
from .errors import ProblemError, respond, respond_http

_BYTES = 64 * 2**20
_HELD_S = 10.0  # shorter than proxies wait for an answer
_OUTSTANDING_S = 1.0


@dataclass(frozen=True)
class Remembered:
    fingerprint: str
    messages: list[Message]

    @property
    def bytes(self) -> int:
        return sum(len(message.get("body", b"")) for message in self.messages) + 1000


@dataclass(frozen=True)
class Outstanding:
    fingerprint: str
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Idempotency:
    """Remember the successful answers of `repeatable` operations by their keys, in this process, and replay them.

    The oldest are forgotten when they exceed 64 MiB. What failed is not remembered: repeating it is what the caller
    wants. The work goes on when its caller has gone, so that a repetition gets what the first request paid for; without
    a key nobody could get it, so it ends. A repetition that comes too early waits for a while.
    """

    def __init__(self, app: ASGIApp, repeatable: Declared) -> None:
        self.app, self.repeatable, self.bytes = app, repeatable, 0
        self.answers = OrderedDict[str, Remembered]()
        self.outstanding = dict[str, Outstanding]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = Headers(scope=scope).get("idempotency-key", "").strip('"') if scope in self.repeatable else ""
        if not given:
            await while_connected(self.app, scope, receive, send)
            return
        try:
            body = await _read(receive)
        except HTTPException as refused:  # too large
            await respond_http(refused)(scope, receive, send)
            return
        if body is not None:
            await self._once(given, body, scope, receive, send)

    async def _once(self, given: str, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        key, fingerprint = f"{scope['path']} {given}", hashlib.sha256(body).hexdigest()
        while (first := self.outstanding.get(key)) is not None and first.fingerprint == fingerprint:
            if await _gone_before(first.ended, receive):
                return
            if not first.ended.is_set():
                await respond(_outstanding(given))(scope, receive, send)
                return
        known = self.answers.get(key)
        if (earlier := first or known) is not None and earlier.fingerprint != fingerprint:
            await respond(_reused(given))(scope, receive, send)
        elif known is not None:
            for message in known.messages:
                await send(message)
        else:
            await self._do(key, fingerprint, scope, _Replay(body, receive), send)

    async def _do(self, key: str, fingerprint: str, scope: Scope, receive: Receive, send: Send) -> None:
        sent: list[Message] = []

        async def keep(message: Message) -> None:
            sent.append(message)
            await send(message)

        outstanding = self.outstanding[key] = Outstanding(fingerprint)
        try:
            await self.app(scope, receive, keep)
            if sent and sent[0]["status"] < 300:
                self._remember(key, Remembered(fingerprint, [_replayed(message) for message in sent]))
        finally:
            del self.outstanding[key]
            outstanding.ended.set()

    def _remember(self, key: str, answer: Remembered) -> None:
        self.answers[key] = answer
        self.bytes += answer.bytes
        while self.bytes > _BYTES:
            self.bytes -= self.answers.popitem(last=False)[1].bytes


class _Replay:
    """The body that was read, then whatever else the connection says."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self.body: bytes | None = body
        self.receive = receive

    async def __call__(self) -> Message:
        if self.body is None:
            return await self.receive()
        body, self.body = self.body, None
        return {"type": "http.request", "body": body, "more_body": False}


async def _read(receive: Receive) -> bytes | None:
    """The body; null when the caller has gone before its end."""
    body = bytearray()
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)
    return None


async def _gone_before(ended: asyncio.Event, receive: Receive) -> bool:
    """Wait for the first request to end, but not too long; whether the caller of the second has gone meanwhile."""
    ends, goes = asyncio.ensure_future(ended.wait()), asyncio.ensure_future(receive())  # nothing comes but its end
    try:
        await asyncio.wait((ends, goes), timeout=_HELD_S, return_when=asyncio.FIRST_COMPLETED)
        return goes.done()
    finally:
        ends.cancel()
        goes.cancel()


def _replayed(message: Message) -> Message:
    if message["type"] != "http.response.start":
        return message
    headers = MutableHeaders(raw=list(message["headers"]))
    headers["Idempotency-Replayed"] = "true"
    del headers["X-Request-Id"]  # that of the repetition is set further out
    return {**message, "headers": headers.raw}


def _reused(key: str) -> ProblemError:
    detail = f"The Idempotency-Key {key} was used for another body. Send the same body, or choose another key."
    return ProblemError(422, "key-reused", detail)


def _outstanding(key: str) -> ProblemError:
    detail = f"The first request under the Idempotency-Key {key} is still being answered. Ask again."
    return ProblemError(409, "request-outstanding", detail, retry_after=_OUTSTANDING_S)
