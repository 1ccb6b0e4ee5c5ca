"""Strong ETags (RFC 9110): an answer that the caller has already is not sent again. Pure ASGI."""

import hashlib
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .declared import Declared

_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_OF_A_BODY = ("content-length", "content-type")


class ETags:
    """Give the answers of `tagged` operations the digest of their bytes, and answer 304 where the caller has them."""

    def __init__(self, app: ASGIApp, tagged: Declared) -> None:
        self.app, self.tagged = app, tagged

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope not in self.tagged:
            await self.app(scope, receive, send)
            return
        start: Message | None = None
        content = bytearray()

        async def gather(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and message["status"] == 200:
                start = message
            elif start is None:
                await send(message)
            else:
                content.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    await _finish(start, bytes(content), Headers(scope=scope), send)

        await self.app(scope, receive, gather)


async def _finish(start: Message, content: bytes, given: Headers, send: Send) -> None:
    tag = f'"{hashlib.sha256(content).hexdigest()}"'
    headers = MutableHeaders(raw=start["headers"])
    headers["ETag"] = tag
    headers.setdefault("Cache-Control", "private, no-cache")  # may be kept, must be asked for again
    if _has(given.get("if-none-match", ""), tag):
        for name in _OF_A_BODY:
            del headers[name]
        start, content = {**start, "status": 304}, b""
    await send({**start, "headers": headers.raw})
    await send({"type": "http.response.body", "body": content})


def _has(if_none_match: str, tag: str) -> bool:
    """Weak comparison, which the RFC asks for here."""
    return if_none_match.strip() == "*" or tag in _TAG.findall(if_none_match)
