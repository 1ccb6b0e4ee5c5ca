"""An HTTP server that costs next to nothing: a benchmark on one machine measures who asks it, not what answers."""

import asyncio
import os
import selectors
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


def serve(port: int, answer: Answer) -> None:
    """On loopback, until the process ends; by a loop that waits exactly, where epoll's rounds up to milliseconds."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(_serve(port, answer))


async def _serve(port: int, answer: Answer) -> None:
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: _Connection(answer), "127.0.0.1", port) as server:
        await server.serve_forever()


@contextmanager
def cores_awake() -> Iterator[None]:
    """A loop of idle priority on each core: a virtual one that sleeps between answers takes 0.4 ms to wake (Linux)."""
    spin = "import os; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nwhile True: pass"
    loops = [subprocess.Popen([sys.executable, "-c", spin]) for _ in os.sched_getaffinity(0)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
