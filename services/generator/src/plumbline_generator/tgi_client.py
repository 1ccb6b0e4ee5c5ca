"""One TGI server, through Hugging Face's own client; its failures told apart."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import httpx2
import huggingface_hub
from huggingface_hub import AsyncInferenceClient, TextGenerationStreamOutput
from huggingface_hub.errors import (
    HfHubHTTPError,
    InferenceTimeoutError,
    OverloadedError,
    TextGenerationError,
    ValidationError,
)
from plumbline_kit import connections

from .failures import Refused, refused_by_server
from .outages import by_status, is_not_allowed, not_allowed, too_slow, unavailable
from .settings import Settings

_HASTY_S = 5.0


class TGIClient:
    """Raises Refused for what is the prompt's own fault, and a problem for what is everybody's."""

    def __init__(self, config: Settings) -> None:
        assert config.backend_url is not None
        key = config.backend_api_key
        self.url, self._timeout = config.backend_url.rstrip("/"), config.backend_timeout_seconds
        # Never left out: Hugging Face's client would send the token of the machine's user instead.
        self._key = "none" if key is None else key.get_secret_value()
        headers = {"Authorization": f"Bearer {self._key}"}
        self._http = connections.client(base_url=self.url, headers=headers, timeout=_HASTY_S)
        tls = httpx2.create_ssl_context(trust_env=False)  # reading the certificates takes 20 ms
        huggingface_hub.set_async_client_factory(lambda: _client(tls))

    async def close(self) -> None:
        await self._http.aclose()

    async def info(self) -> dict[str, Any]:
        """What the server tells of itself and its model."""
        told: dict[str, Any] = (await self._ask("GET", "/info")).json()
        return told

    async def check(self) -> None:
        """Return when it can generate; when it cannot, it is the server that is ill, not a prompt."""
        await self._ask("GET", "/health")

    async def count(self, prompt: str) -> int:
        """The tokens of a prompt."""
        return len(await self._ids(prompt))

    async def render(self, messages: list[dict[str, str]]) -> tuple[str, str]:
        """Messages in the template of the model, and the text to send for them.

        TGI begins every text with the special tokens of its tokenizer. Where the template has written them already,
        they are left out of what is sent; that it comes to the template's tokens is seen before.
        """
        told = (await self._ask("POST", "/chat_tokenize", json={"messages": messages})).json()
        rendered, tokens = str(told["templated_text"]), told["tokenize_response"]
        wanted = [token["id"] for token in tokens]
        for sent in (rendered, rendered.removeprefix(tokens[0]["text"] if tokens else "")):
            if await self._ids(sent) == wanted:
                return rendered, sent
        raise Refused("TGI would begin the chat template's text with other tokens; ask its /v1 by the engine `openai`.")

    async def _ids(self, text: str) -> list[int]:
        return [token["id"] for token in (await self._ask("POST", "/tokenize", json={"inputs": text})).json()]

    async def _ask(self, method: str, path: str, **body: Any) -> httpx.Response:
        try:
            response = await self._http.request(method, path, **body)
        except httpx.HTTPError as error:
            raise unavailable(f"it does not answer {method} {path}: {error!r}") from error
        if is_not_allowed(response.status_code):
            raise not_allowed(f"{response.status_code} to {method} {path}")
        if response.is_server_error or response.status_code == 429:
            raise unavailable(f"it answers {method} {path} with {response.status_code}: {response.text[:300]}")
        if response.is_error:
            raise Refused(f"The server answered {method} {path} with {response.status_code}: {response.text[:300]}")
        return response

    @asynccontextmanager
    async def tokens(
        self, prompt: str, parameters: dict[str, Any]
    ) -> AsyncGenerator[AsyncGenerator[TextGenerationStreamOutput]]:
        """The tokens that are written, as they come; the last one has `details`. Leaving ends the work there.

        A client for each: that of Hugging Face closes what it streams only when it is closed itself.
        """
        try:
            async with (
                asyncio.timeout(self._timeout),
                AsyncInferenceClient(base_url=self.url, api_key=self._key, timeout=self._timeout) as client,
            ):
                yield await client.text_generation(prompt, details=True, stream=True, **parameters)
        except (InferenceTimeoutError, httpx2.ReadTimeout, TimeoutError) as error:
            raise too_slow(f"{type(error).__name__}.") from error
        except TextGenerationError as error:
            raise await self._told_apart(error) from error
        except HfHubHTTPError as error:
            raise _by_status(error) from error
        except httpx2.HTTPError as error:
            raise unavailable(f"{type(error).__name__}: {error}") from error
        except (json.JSONDecodeError, TypeError, KeyError) as error:
            raise Refused(f"The server's answer cannot be read: {error!r}") from error

    async def _told_apart(self, error: TextGenerationError) -> Exception:
        """By TGI's `error_type`, of an answer (422, 424, 429, 500) or of an event in a stream that has begun."""
        if isinstance(error, OverloadedError):
            return unavailable(f"overloaded: {error}")
        if not isinstance(error, ValidationError):
            await self.check()
        return refused_by_server(f"{type(error).__name__}: {error}")


def _by_status(error: HfHubHTTPError) -> Exception:
    """An answer that has no `error_type`: mostly of what stands before TGI."""
    status, said = error.response.status_code, f"{error.response.status_code}: {error.response.text[:300]}"
    return by_status(status, said) or refused_by_server(said)


def _client(tls: Any) -> httpx2.AsyncClient:
    """Without the hooks of Hugging Face's own, which refuse every address when HF_HUB_OFFLINE is set."""

    async def read(response: httpx2.Response) -> None:
        if response.is_error:
            await response.aread()

    return httpx2.AsyncClient(verify=tls, trust_env=False, timeout=None, event_hooks={"response": [read]})
