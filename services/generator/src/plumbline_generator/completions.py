"""One OpenAI-compatible server, asked for one completion at a time; its failures told apart."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError, AsyncOpenAI, DefaultAioHttpClient
from openai.types import Completion, Model
from openai.types.chat import ChatCompletion

from .failures import Refused, refused_by_server
from .outages import by_status, is_not_allowed, not_allowed, too_slow, unavailable, without_password
from .settings import Settings

_NOT_TAKEN = frozenset({"ConnectTimeout", "PoolTimeout"})  # by name: releases of openai differ in whose httpx they use
_NOT_THERE = frozenset({404, 405})
_MAY_PASS = frozenset({408, 409, 424})  # and every 5xx that is left: taken, and failed


class Completions:
    """Raises Refused for what is the prompt's own fault, and a problem for what is everybody's.

    `backend-unavailable` passes by waiting, `backend-refused` when a person mends a setting, `backend-timeout` perhaps
    never: a completion that takes too long every time must not be repeated for ever.
    """

    def __init__(self, config: Settings) -> None:
        assert config.backend_url is not None
        key = config.backend_api_key
        self._url = config.backend_url.rstrip("/")
        self._slots = asyncio.Semaphore(config.backend_concurrency)
        self._client = AsyncOpenAI(
            base_url=self._url,
            api_key="none" if key is None else key.get_secret_value(),
            timeout=config.backend_timeout_seconds,
            max_retries=config.backend_retries,  # with backoff, after the time that Retry-After names
            http_client=DefaultAioHttpClient(),  # a fraction of the processor time of the other
        )
        self._hasty = self._client.with_options(max_retries=0, timeout=5)

    @property
    def address(self) -> str:
        return without_password(self._url)

    async def close(self) -> None:
        await self._client.close()

    async def models(self) -> list[Model]:
        """What the server lists."""
        try:
            return list((await self._hasty.models.list()).data or [])
        except (APIError, ValueError) as error:
            if isinstance(error, APIStatusError) and is_not_allowed(error.status_code):
                raise not_allowed(_words(error)) from error
            raise unavailable(f"it does not answer GET /models: {_words(error)}") from error

    async def about(self, path: str | None) -> dict[str, Any]:
        """What the server tells of itself at a path beside its API; empty where it has no such path.

        That it cannot tell now must not be taken for that: what it tells decides on what is asked of it.
        """
        if path is None:
            return {}
        try:
            told = await self._hasty.get(f"{self._url.removesuffix('/v1')}/{path}", cast_to=object)
        except (APIError, ValueError) as error:
            if isinstance(error, APIStatusError) and error.status_code in _NOT_THERE:
                return {}
            raise unavailable(f"it does not answer GET {path}: {_words(error)}") from error
        return told if isinstance(told, dict) else {}

    async def text(self, **parameters: Any) -> Completion:
        answer = await self._ask(self._client.completions.create, **parameters)
        if not isinstance(answer, Completion):
            raise Refused(f"The server answered no completion: {str(answer)[:200]!r}")
        return answer

    async def chat(self, **parameters: Any) -> ChatCompletion:
        answer = await self._ask(self._client.chat.completions.create, **parameters)
        if not isinstance(answer, ChatCompletion):
            raise Refused(f"The server answered no chat completion: {str(answer)[:200]!r}")
        return answer

    async def _ask(self, create: Callable[..., Awaitable[Any]], **parameters: Any) -> Any:
        async with self._asking():
            return await create(**parameters)

    @asynccontextmanager
    async def chunks(self, chat: bool, **parameters: Any) -> AsyncIterator[AsyncIterator[Any]]:
        """An answer in parts, as they come. Leaving closes the connection, and so ends the work at the server."""
        create: Any = self._client.chat.completions.create if chat else self._client.completions.create
        async with self._asking(), await create(stream=True, **parameters) as parts:
            yield parts

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        try:
            async with self._slots:
                yield
        except APIConnectionError as error:
            taken = isinstance(error, APITimeoutError) and type(error.__cause__).__name__ not in _NOT_TAKEN
            raise (too_slow if taken else unavailable)(_words(error)) from error
        except APIStatusError as error:
            raise await self._told_apart(error) from error
        except (httpx.HTTPError, httpx2.HTTPError) as error:  # in the middle of a stream openai lets them through
            raise unavailable(_words(error)) from error
        except (APIError, ValueError) as error:
            raise Refused(f"The server's answer cannot be read: {_words(error)}") from error

    async def _told_apart(self, error: APIStatusError) -> Exception:
        if (problem := by_status(error.status_code, _words(error))) is not None:
            return problem
        if error.status_code >= 500 or error.status_code in _MAY_PASS:
            await self.models()  # when this fails, it is the server that is ill, not the prompt
        return refused_by_server(_words(error), error.body)


def _words(error: Exception) -> str:
    """What the server said, or what happened instead."""
    if not isinstance(error, APIStatusError):
        return f"{type(error).__name__}: {str(error.__cause__ or '') or error}"
    said = error.body
    if isinstance(said, dict):
        said = said.get("message") or said.get("detail") or said
    return f"{error.status_code}: {str(said)[:500]}"
