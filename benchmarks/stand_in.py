"""An HTTP server that costs next to nothing: a benchmark on one machine measures who asks it, not what answers."""

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

# Of a path and a body: after how many seconds, and which JSON.
Answer = Callable[[str, bytes], tuple[float, bytes]]
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class _Connection(asyncio.Protocol):
    """One request after another. Uvicorn's parser without its application, tasks and queues."""

    def __init__(self, answer: Answer) -> None:
        self._answer, self._loop = answer, asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._url, self._body = b"", b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url, self._body = b"", b""

    def on_url(self, part: bytes) -> None:
        self._url += part

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        arrived = self._loop.time()
        seconds, content = self._answer(httptools.parse_url(self._url).path.decode(), self._body)
        whole = _HEAD % len(content) + content
        if seconds:
            self._loop.call_at(arrived + seconds, self._transport.write, whole)
        else:
            self._transport.write(whole)


async def serve(port: int, answer: Answer) -> None:
    """On loopback, until the process ends."""
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: _Connection(answer), "127.0.0.1", port) as server:
        await server.serve_forever()
