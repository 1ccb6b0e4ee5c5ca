"""Work for a caller that has closed the connection ends."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_AHEAD = 1  # messages read before the application asks for them, so that a large body still waits for its reader


async def while_connected(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Run `app`; cancel it when the connection is lost before its answer is complete."""
    if scope["type"] != "http":
        await app(scope, receive, send)
        return
    caller = _Caller(receive, send)
    listening = asyncio.create_task(caller.listen())
    try:
        await app(scope, caller.receive, caller.send)
    except asyncio.CancelledError:
        if not caller.gone or caller.task.uncancel():  # another cancellation, that of the server's end
            raise
    finally:
        listening.cancel()


class _Caller:
    """Who is at the other end, as the application sees it."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._received = asyncio.Queue[Message | Exception](_AHEAD)
        self.task, self.answered, self.gone = _this_task(), False, False

    async def listen(self) -> None:
        try:
            while (message := await self._receive())["type"] != "http.disconnect":
                await self._received.put(message)
        except Exception as refused:  # a body that is too large
            await self._received.put(refused)
            return
        # The server says the same after a complete answer, while what the answer used is still being closed.
        if not self.answered:
            self.gone = True
            self.task.cancel()
        await self._received.put(message)

    async def receive(self) -> Message:
        received = await self._received.get()
        if isinstance(received, Exception):
            raise received
        if received["type"] == "http.disconnect":
            self._received.put_nowait(received)  # for whoever asks again
        return received

    async def send(self, message: Message) -> None:
        self.answered = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)


def _this_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None
    return task
