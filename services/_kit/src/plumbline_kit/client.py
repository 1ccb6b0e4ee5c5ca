"""Call another service: timeouts, bounded retries that honour Retry-After, problems as exceptions."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from contextvars import ContextVar
from functools import cached_property
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import httpx
from httpx_sse import aconnect_sse
from plumbline_contracts.common import Problem
from pydantic import BaseModel, SecretStr, ValidationError

from . import connections
from .errors import PREFIX, ProblemError
from .logs import request_id
from .retrying import retried, seconds_asked

Body = TypeVar("Body", bound=BaseModel)
Content = bytes | AsyncIterable[bytes] | None
# Where it is set, `call` posts under a key of it and of what is posted, so that a repetition gets the first answer.
key_scope: ContextVar[str | None] = ContextVar("key_scope", default=None)
OUTSTANDING = "request-outstanding"  # the first request under the same Idempotency-Key is still being answered
TRANSIENT = frozenset({408, 425, 429, 502, 503, 504})
_LONGEST_WAIT_S, _CONNECT_S = 60.0, 5.0


class Unreachable(ProblemError):
    """Nobody answers there: the service is down or starting."""

    def __init__(self, url: str, cause: str) -> None:
        super().__init__(503, "unreachable", f"{url} does not answer: {cause}.", retry_after=2)


class Interrupted(ProblemError):
    """The request was sent, but no whole answer came: timed out, or the service broke off."""

    def __init__(self, url: str, cause: str) -> None:
        super().__init__(504, "no-answer", f"{url} took the request and gave no answer: {cause}.")


def _failed(url: str, error: Exception) -> ProblemError:
    cause = f"{type(error.__cause__ or error).__name__} {error}".strip().rstrip(".")
    return Unreachable(url, cause) if connections.was_never_sent(error) else Interrupted(url, cause)


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    return isinstance(error, ProblemError) and (error.status in TRANSIENT or error.kind == OUTSTANDING)


def _backoff(error: Exception) -> bool | float:
    """Retry what may pass, after the time that the server asked for, if it did."""
    if not is_transient(error):
        return False
    wait = error.retry_after if isinstance(error, ProblemError) and not isinstance(error, Unreachable) else None
    return True if wait is None else min(wait, _LONGEST_WAIT_S)


class ServiceClient:
    """A client of one service. `timeout` is for one answer in seconds, `attempts` for one call.

    `post` is entered for every request that is posted, and left when its answer, or the problem, is there: so many
    requests are under way, and not what is made of their answers.
    """

    def __init__(
        self,
        url: str,
        token: SecretStr | None = None,
        *,
        timeout: float = 600.0,
        attempts: int = 4,
        post: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> None:
        self._headers = {} if token is None else {"Authorization": f"Bearer {token.get_secret_value()}"}
        self.url, self.attempts, self._post, self._timeout = url.rstrip("/"), attempts, post, timeout

    @cached_property
    def _session(self) -> aiohttp.ClientSession:
        """For single answers: half the processor time of httpx above the same connections."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=self._timeout)
        return connections.own_session(headers=self._headers, timeout=timeout)

    @cached_property
    def _http(self) -> httpx.AsyncClient:
        """For streams."""
        timeout = httpx.Timeout(self._timeout, connect=_CONNECT_S)
        return connections.client(base_url=self.url, headers=self._headers, timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if "_session" in vars(self):
            await self._session.close()
        if "_http" in vars(self):
            await self._http.aclose()

    async def call(
        self,
        method: str,
        path: str,
        answer: type[Body],
        body: BaseModel | None = None,
        *,
        key: str | None = None,
        **query: Any,
    ) -> Body:
        """Send `body`, return the answer. Raises ProblemError, of which Unreachable and Interrupted are kinds.

        `key` is sent as Idempotency-Key: whoever repeats the request under it gets the first answer.
        """
        # Without defaults: a server of an older minor version refuses the fields that it does not know.
        content = None if body is None else body.model_dump_json(exclude_defaults=True).encode()
        if method == "POST" and key is None and (scope := key_scope.get()) is not None:
            key = hashlib.sha256(f"{scope} {path} ".encode() + (content or b"")).hexdigest()[:32]
        headers = {} if key is None else {"Idempotency-Key": key}
        asked = f"{path}?{httpx.QueryParams(query)}" if query else path
        given = await self.send(method, asked, content=content, headers=headers)
        try:
            return answer.model_validate_json(given)
        except ValidationError as error:
            fault = error.errors()[0]
            where = "".join(f"{part}: " for part in [".".join(map(str, fault["loc"]))] if part)
            detail = f"{method} {self.url}{path} answered against its contract: {where}{fault['msg']}"
            raise ProblemError(500, "contract-broken", detail) from error

    async def send(
        self,
        method: str,
        path: str,
        content: Content = None,
        media_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Send bytes, return those of a success. It may be tried again, so an iterable must start over each time."""
        sent = {**_headers(media_type), **(headers or {})}

        async def call() -> bytes:
            async with self._post() if method == "POST" else nullcontext():
                return await self._once(method, path, content, sent)

        return await retried(call, on=_backoff, attempts=self.attempts, timeout=None, wait_initial=0.2)

    async def _once(self, method: str, path: str, content: Content, headers: dict[str, str]) -> bytes:
        url = f"{self.url}{path}"
        try:
            async with self._session.request(
                method, url, data=content, headers=headers, allow_redirects=False
            ) as response:
                given = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _failed(self.url, error) from error
        if not response.ok:
            raise _problem(f"{method} {url}", response.status, response.headers, given)
        return given

    async def stream(self, path: str, event: type[Body]) -> AsyncIterator[Body]:
        """The server-sent events of `path`, until the server ends them."""
        try:
            async with aconnect_sse(self._http, "GET", path, headers=_headers()) as source:
                if source.response.is_error:
                    await source.response.aread()
                    raise problem_of(source.response)
                async for sent in source.aiter_sse():
                    if sent.data:  # httpx-sse takes a keep-alive after an event with an id for an event
                        yield event.model_validate_json(sent.data)
        except httpx.HTTPError as error:
            raise _failed(self.url, error) from error

    async def lines(self, path: str, body: BaseModel, line: type[Body]) -> AsyncGenerator[Body]:
        """Send `body`, read the answer's JSON Lines as they come; closing the iterator ends the work there."""
        content = body.model_dump_json(exclude_defaults=True).encode()
        try:
            async with self._http.stream("POST", path, content=content, headers=_headers()) as response:
                if response.is_error:
                    await response.aread()
                    raise problem_of(response)
                async for sent in response.aiter_lines():
                    yield line.model_validate_json(sent)
        except httpx.HTTPError as error:
            raise _failed(self.url, error) from error


def _headers(media_type: str = "application/json") -> dict[str, str]:
    id = request_id.get()
    return {"Content-Type": media_type} | ({} if id is None else {"X-Request-Id": id})


def problem_of(response: httpx.Response) -> ProblemError:
    """The error that a failed answer tells, whether or not it is a problem document."""
    asked = f"{response.request.method} {response.request.url}"
    return _problem(asked, response.status_code, response.headers, response.content)


def _problem(asked: str, status: int, headers: Mapping[str, str], content: bytes) -> ProblemError:
    retry_after = seconds_asked(headers)
    try:
        problem = Problem.model_validate_json(content)
    except ValidationError:
        detail = f"{asked} answered {status}: {content.decode(errors='replace')[:300]}"
        return ProblemError(status, "unexpected-answer", detail, retry_after=retry_after)
    kind = problem.type.removeprefix(PREFIX)
    return ProblemError(problem.status, kind, problem.detail, errors=problem.errors, retry_after=retry_after)
