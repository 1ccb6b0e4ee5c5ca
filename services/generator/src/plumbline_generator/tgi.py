"""The model behind a TGI server (text-generation-inference), by its own API."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from plumbline_contracts import generator as contract
from plumbline_contracts.generator import (
    Alternative,
    FinishReason,
    Generation,
    GenerationRequest,
    Prompt,
    TokenLogprob,
    sha256_of,
)
from plumbline_kit.client import is_transient
from plumbline_kit.errors import ProblemError
from plumbline_kit.retrying import retried

from .failures import PREFIX_WITH_MESSAGES, Refused, failed, refuse_what_it_cannot
from .finishing import as_finished
from .outages import without_password
from .reading import Reading, moment
from .settings import Settings
from .stopping import cut
from .streams import GREEDY_BELOW, stream_number
from .telling import Tell, Telling
from .tgi_client import TGIClient

_ENDS = {
    "length": FinishReason.LENGTH,
    "eos_token": FinishReason.EOS,
    "stop_sequence": FinishReason.STOP_STRING,
}
FEATURES = ("logprobs", "stop_loops", "deadline_seconds")
Told = dict[str, Any]
"""What the server tells at /info."""


class TGIServer:
    name = "tgi"

    def __init__(self, config: Settings) -> None:
        self._client, self._attempts = TGIClient(config), config.backend_retries + 1
        self._slots = asyncio.Semaphore(config.backend_concurrency)

    async def close(self) -> None:
        await self._client.close()

    async def served(self) -> dict[str, Told]:
        """The one model. One that was read from a folder has the folder's name."""
        told = await self._client.info()
        name = str(told["model_id"])
        return {PurePosixPath(name).name if name.startswith("/") else name: told}

    async def identity(self, model: str, told: Told) -> contract.ModelIdentity:
        """No digest of the weights is told, so the server's address stands for it, and the commit on the hub."""
        revision = "" if told.get("model_sha") is None else f"@{told['model_sha']}"
        source = f"{without_password(self._client.url)} {told['model_id']}{revision}"
        return contract.ModelIdentity(**_origin(model, told).model_dump(), source=source)

    async def stream(
        self, request: GenerationRequest, told: Told, tell: Tell | None = None
    ) -> AsyncGenerator[Generation | contract.Origin]:
        """Complete every prompt. An outage that one of them meets ends the others: the request is to be repeated."""
        refuse_what_it_cannot(request, "TGI", *FEATURES)
        if request.logprobs is not None and not _unchanged(request):
            detail = "TGI tells log-probabilities after temperature and penalty; ask for them with neither, or not."
            raise ProblemError(422, "unsupported-decoding", detail)
        deadline = moment(request.deadline_seconds)
        most = int(told.get("max_stop_sequences", 4))
        asked = as_finished(self._completed(request, prompt, most, deadline, tell) for prompt in request.prompts)
        async with aclosing(asked):
            async for generation in asked:
                yield generation
        yield _origin(request.model, told)

    async def _completed(
        self, request: GenerationRequest, prompt: Prompt, most: int, deadline: float | None, tell: Tell | None
    ) -> Generation:
        try:
            ask = partial(self._completion, request, prompt, most, deadline, tell)
            attempts = self._attempts if tell is None else 1  # what was told cannot be told again
            return await retried(ask, on=is_transient, attempts=attempts, timeout=None)
        except Refused as error:
            return failed(prompt.id, 0, error)

    async def _completion(
        self, request: GenerationRequest, prompt: Prompt, most: int, deadline: float | None, tell: Tell | None
    ) -> Generation:
        """One attempt. What ends the reading early closes the connection, and so ends the work at the server."""
        rendered, sent = await self._rendered(request, prompt)
        telling = None if tell is None else Telling(tell, prompt.id, request.decoding.stop)
        reading, reason, last = Reading(request.decoding, sha256_of(rendered), telling), None, None
        written: list[Any] = []
        try:
            async with (
                asyncio.timeout_at(deadline) as limit,
                self._slots,
                self._client.tokens(sent, parameters(request, prompt.id, most)) as tokens,
            ):
                async for token in tokens:
                    written.append(token)
                    last = token
                    reason = reading.read("" if token.token.special else token.token.text)
                    if reason is not None or token.details is not None:
                        break
        except (TimeoutError, ProblemError):
            if not limit.expired():
                raise
            reason = FinishReason.CANCELLED
        return await self._generation(request, prompt, sent, reading, reason, last, written)

    async def _rendered(self, request: GenerationRequest, prompt: Prompt) -> tuple[str, str]:
        """The whole prompt, and what is sent for it."""
        if prompt.messages is None:
            text = request.prefix + (prompt.text or "")
            return text, text
        if request.prefix:
            raise Refused(PREFIX_WITH_MESSAGES)
        return await self._client.render([message.model_dump() for message in prompt.messages])

    async def _generation(
        self,
        request: GenerationRequest,
        prompt: Prompt,
        sent: str,
        reading: Reading,
        reason: FinishReason | None,
        last: Any,
        written: list[Any],
    ) -> Generation:
        details = None if last is None else last.details
        raw_text, cause = reading.text, None
        if details is not None:
            raw_text = last.generated_text if last.generated_text is not None else raw_text
            reason = reason or _ENDS.get(details.finish_reason, FinishReason.ERROR)
        if reason is None:
            raise Refused("The server's stream ended without its details.")
        text, stopped = cut(raw_text, request.decoding.stop)
        if stopped:
            reason = FinishReason.STOP_STRING
        if reason == FinishReason.ERROR and details is not None:
            cause = f"The server ended it for {details.finish_reason!r}."
        return Generation(
            id=prompt.id,
            text=text,
            raw_text=raw_text,
            finish_reason=reason,
            prompt_tokens=details.input_length if details is not None else await self._client.count(sent),
            completion_tokens=details.generated_tokens if details is not None else reading.tokens,
            cached_prompt_tokens=None,
            prompt_sha256=reading.sha256,
            loop=reading.loop(reason),
            audited=reading.audited,
            logprobs=None if request.logprobs is None else [_logprob(one, request.logprobs) for one in written],
            prompt_logprobs=None,
            cause=cause,
        )


def parameters(request: GenerationRequest, id: str, most_stops: int) -> dict[str, Any]:
    """Of `text_generation`. What would change nothing is left out, since TGI refuses a `top_p` of 1 or a `top_k` of 0.

    Stop strings beyond those that the server takes are watched for here.
    """
    decoding = request.decoding
    asked: dict[str, Any] = {"max_new_tokens": decoding.max_new_tokens, "do_sample": False}
    if decoding.temperature >= GREEDY_BELOW:
        # 31 bits as for other servers; 0 is refused.
        asked |= {"do_sample": True, "temperature": decoding.temperature}
        asked["seed"] = max(1, stream_number(decoding.seed, id) >> 33)
        asked |= {} if decoding.top_p == 1 else {"top_p": decoding.top_p}
        asked |= {} if decoding.top_k == 0 else {"top_k": decoding.top_k}
    if decoding.repetition_penalty != 1:
        asked["repetition_penalty"] = decoding.repetition_penalty
    if decoding.stop:
        asked["stop"] = decoding.stop[:most_stops]
    if request.logprobs:
        asked["top_n_tokens"] = request.logprobs
    return asked


def _unchanged(request: GenerationRequest) -> bool:
    """Whether the distribution that tokens are drawn from is the model's own."""
    return request.decoding.temperature < GREEDY_BELOW and request.decoding.repetition_penalty == 1


def _logprob(token: Any, alternatives: int) -> TokenLogprob:
    best = sorted(token.top_tokens or [], key=lambda one: -one.logprob)[:alternatives]
    others = [Alternative(token=one.text, logprob=one.logprob) for one in best]
    return TokenLogprob(token=token.token.text, logprob=token.token.logprob, alternatives=others)


def _origin(model: str, told: Told) -> contract.Origin:
    build = "" if told.get("sha") is None else f" ({told['sha']})"
    return contract.Origin(model=model, weights_sha256=None, engine="tgi", engine_version=f"{told['version']}{build}")
