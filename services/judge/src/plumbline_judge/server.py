"""Calls of an OpenAI-compatible server: JSON there and back, and again what may pass."""

import json
from functools import cached_property
from typing import Any

import aiohttp
from plumbline_kit import connections
from plumbline_kit.retrying import retried, seconds_asked

from .settings import Settings

_WAIT_S, _LONGEST_WAIT_S, _LONGEST_ASKED_S = 0.5, 8.0, 60.0
_PASSING = frozenset({408, 409, 429})
_CHECK = aiohttp.ClientTimeout(total=5)


class Refused(Exception):
    """The server's answer is an error: its status, and what it says."""

    def __init__(self, status: int, said: str, retry_after: float | None = None) -> None:
        super().__init__(f"HTTP {status}: {said}")
        self.status, self.retry_after = status, retry_after


# What a call may raise; ValueError where an answer is no JSON.
Failure = (Refused, aiohttp.ClientError, TimeoutError, ValueError)


def may_pass(error: Exception) -> bool:
    """What is tried again, and broken bodies; any other status is the server's refusal."""
    return not isinstance(error, Refused) or error.status in _PASSING or error.status >= 500


class Server:
    """Over aiohttp alone: OpenAI's client takes twice the processor time of all else that a judgment costs."""

    def __init__(self, settings: Settings) -> None:
        self._url = (settings.backend_url or "").rstrip("/")
        self._key = None if settings.api_key is None else settings.api_key.get_secret_value()
        self._timeout, self._attempts = settings.timeout_seconds, settings.retries + 1

    async def get(self, path: str) -> Any:
        """Once, and soon."""
        return await self._once("GET", path, timeout=_CHECK)

    async def post(self, path: str, body: Any) -> Any:
        """After a failure that may pass again, with backoff, or after the time that Retry-After names."""
        content = json.dumps(body).encode()
        return await retried(
            lambda: self._once("POST", path, data=content),
            on=_wait,
            attempts=self._attempts,
            timeout=None,
            wait_initial=_WAIT_S,
            wait_max=_LONGEST_WAIT_S,
        )

    async def close(self) -> None:
        await self._session.close()

    @cached_property
    def _session(self) -> aiohttp.ClientSession:
        headers = {"Content-Type": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        return connections.session(self._url, headers=headers, timeout=timeout)

    async def _once(self, method: str, path: str, **options: Any) -> Any:
        async with self._session.request(method, self._url + path, **options) as response:
            content = await response.read()
            if not response.ok:
                said = content.decode(errors="replace")[:400]
                raise Refused(response.status, said, seconds_asked(response.headers))
        return json.loads(content)


def _wait(error: Exception) -> bool | float:
    if isinstance(error, ValueError) or not may_pass(error):
        return False
    asked = error.retry_after if isinstance(error, Refused) else None
    return True if asked is None else min(asked, _LONGEST_ASKED_S)
