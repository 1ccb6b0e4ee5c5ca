"""Routes in the shape of another API: their problems are told as the clients of that API parse them. Pure ASGI."""

import json
from collections.abc import Sequence
from types import ModuleType

from plumbline_contracts.common import Problem
from starlette.datastructures import MutableHeaders
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Facade:
    """`facade.refusal` makes of a problem the status and body of an answer. Outermost, so that it sees them all.

    At a path that the contract has too, problems stay what the contract says.
    """

    def __init__(self, app: ASGIApp, facade: ModuleType, contract: ModuleType) -> None:
        self.app, self.refusal = app, facade.refusal
        self.routes, self.others = facade.router.routes, contract.router.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _has(self.others, scope) or not _has(self.routes, scope):
            await self.app(scope, receive, send)
            return
        start: Message | None = None

        async def send_reshaped(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and _is_problem(message):
                start = message
                return
            if start is not None:  # a problem's body is one message
                status, body = self.refusal(Problem.model_validate_json(message["body"]))
                content = json.dumps(body, ensure_ascii=False).encode()
                headers = MutableHeaders(raw=list(start["headers"]))
                headers["Content-Type"], headers["Content-Length"] = "application/json", str(len(content))
                await send({**start, "status": status, "headers": headers.raw})
                start, message = None, {**message, "body": content}
            await send(message)

        await self.app(scope, receive, send_reshaped)


def _has(routes: Sequence[BaseRoute], scope: Scope) -> bool:
    """Whether one of them is at the path, for whatever method."""
    return any(route.matches(scope)[0] is not Match.NONE for route in routes)


def _is_problem(start: Message) -> bool:
    return MutableHeaders(raw=list(start["headers"])).get("content-type") == "application/problem+json"
