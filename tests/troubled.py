"""A real server in front of a service, that answers in its place as a test says: busy, refusing, broken, away."""

import threading
from collections.abc import Callable
from typing import Any, Self

import httpx
import uvicorn

from tests.stack import free_port, wait_for

# Of the path and the body of a request: status and headers of the answer in place of the service's, and its content if
# it has another; null: let through.
Trouble = Callable[[str, bytes], tuple[int, dict[str, str]] | tuple[int, dict[str, str], bytes] | None]


class Troubled:
    def __init__(self, url: str, port: int | None = None) -> None:
        self.behind, self.port = url, port or free_port()
        self.trouble: Trouble = lambda path, body: None
        self.asked = list[str]()  # paths of what was let through
        config = uvicorn.Config(self, host="127.0.0.1", port=self.port, log_level="error", lifespan="off")
        self.server = uvicorn.Server(config)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        wait_for(lambda: self.server.started, 60, "the troubled service")
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self.thread.join(10)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        if (instead := self.trouble(scope["path"], body)) is not None:
            await _answer(send, *instead)
            return
        self.asked.append(scope["path"])
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            headers = {"content-type": "application/json"}
            got = await client.request(scope["method"], self.behind + scope["path"], content=body, headers=headers)
        await _answer(send, got.status_code, {"content-type": got.headers["content-type"]}, got.content)


async def _answer(send: Any, status: int, headers: dict[str, str], content: bytes = b"trouble") -> None:
    shown = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": shown})
    await send({"type": "http.response.body", "body": content})
