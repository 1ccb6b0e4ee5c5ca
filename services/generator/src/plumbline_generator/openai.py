"""Models behind an OpenAI-compatible inference server: vLLM, SGLang, llama.cpp, TGI, or another."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from plumbline_contracts import generator as contract
from plumbline_contracts.generator import (
    FinishReason,
    Generation,
    GenerationRequest,
    ModelReference,
    Prompt,
    sha256_of,
)
from plumbline_kit.errors import ProblemError
from pydantic import TypeAdapter, ValidationError

from .answers import Answer, read
from .completions import Completions
from .dialects import Dialect, dialect_of
from .failures import PREFIX_WITH_MESSAGES, Refused, failed, refuse_what_it_cannot
from .finishing import as_finished
from .parts import Parts
from .reading import Reading, moment
from .settings import Settings
from .telling import Tell, Telling

_REFERENCE: TypeAdapter[str] = TypeAdapter(ModelReference)

_NOT_IN_A_STREAM = (
    "prompt_logprobs: no server tells them in a stream, and stop_loops and deadline_seconds need one; leave those out."
)


class OpenAIServer:
    name = "openai"

    def __init__(self, config: Settings) -> None:
        self._completions = Completions(config)

    async def close(self) -> None:
        await self._completions.close()

    async def served(self) -> dict[str, Dialect]:
        """The models that the server lists, and how to speak with it; else a problem that says why there is no list.

        One whose name no request can hold, such as a path, is left out.
        """
        return {model.id: dialect_of(model) for model in await self._completions.models() if _nameable(model.id)}

    async def stream(
        self, request: GenerationRequest, dialect: Dialect, tell: Tell | None = None
    ) -> AsyncGenerator[Generation | contract.Origin]:
        """Complete every prompt. An outage that one of them meets ends the others: the request is to be repeated."""
        build, deadline = None, moment(request.deadline_seconds)
        server = f"the inference server ({dialect.name or 'unknown'})"
        refuse_what_it_cannot(request, server, "stop_loops", "deadline_seconds", *dialect.features)
        if request.prompt_logprobs and _is_streamed(request, tell):
            raise ProblemError(422, "unsupported-decoding", _NOT_IN_A_STREAM)
        about = await self._completions.about(dialect.about)
        if (fault := dialect.refusal(request.decoding, about)) is not None:
            raise ProblemError(422, "unsupported-decoding", fault)
        asked = as_finished(self._generation(request, prompt, dialect, deadline, tell) for prompt in request.prompts)
        async with aclosing(asked):
            async for generation, fingerprint in asked:
                build = build or fingerprint
                yield generation
        yield contract.Origin(
            model=request.model,
            weights_sha256=None,
            engine=f"openai:{dialect.name or 'unknown'}",
            engine_version=str(about.get("version") or build or "unknown"),
        )

    async def identity(self, model: str, dialect: Dialect) -> contract.ModelIdentity:
        """No server tells a digest of its weights, so its address stands for it."""
        about = await self._completions.about(dialect.about)
        return contract.ModelIdentity(
            model=model,
            weights_sha256=None,
            engine=f"openai:{dialect.name or 'unknown'}",
            engine_version=str(about.get("version") or "unknown"),
            source=self._completions.address,
        )

    async def _generation(
        self, request: GenerationRequest, prompt: Prompt, dialect: Dialect, deadline: float | None, tell: Tell | None
    ) -> tuple[Generation, str | None]:
        """The result of one prompt, and the server's build where the answer names it."""
        try:
            if request.prefix and prompt.text is None:
                raise Refused(PREFIX_WITH_MESSAGES)
            asked = question(request, prompt, dialect)
            # Messages are rendered there, so that no digest of the prompt is known.
            sha256 = None if prompt.text is None else sha256_of(request.prefix + prompt.text)
            if _is_streamed(request, tell):
                telling = None if tell is None else Telling(tell, prompt.id, request.decoding.stop)
                sent = sha256 or sha256_of(str(asked.get("messages", prompt.tokens)))
                parts = Parts(Reading(request.decoding, sent, telling), chat="messages" in asked)
                answer = await self._watched(parts, asked, dialect, deadline)
                generation = parts.complete(read(answer, prompt.id, request, dialect))
            else:
                answer = await self._whole(asked)
                generation = read(answer, prompt.id, request, dialect)
            return generation.model_copy(update={"prompt_sha256": sha256}), answer.system_fingerprint
        except Refused as error:
            return failed(prompt.id, 0, error), None
        except ValidationError as error:
            fault = error.errors()[0]
            return failed(prompt.id, 0, f"The server's answer has a wrong {fault['loc'][0]}: {fault['msg']}."), None

    async def _whole(self, asked: dict[str, Any]) -> Answer:
        ask = self._completions.chat if "messages" in asked else self._completions.text
        answer: Answer = await ask(**asked)
        return answer

    async def _watched(self, parts: Parts, asked: dict[str, Any], dialect: Dialect, deadline: float | None) -> Answer:
        """Read while it is written, until it ends, is a loop, or the time is over."""
        options = {"stream_options": {"include_usage": True, **dialect.stream_options}}
        try:
            async with (
                asyncio.timeout_at(deadline) as limit,
                self._completions.chunks(parts.chat, **asked, **options) as chunks,
            ):
                async for chunk in chunks:
                    if parts.take(chunk):
                        break
        except (TimeoutError, ProblemError):
            if not limit.expired():
                raise
            parts.ended = FinishReason.CANCELLED
        if parts.usage is None and parts.ended != FinishReason.CANCELLED:
            one = await self._whole(asked | {"max_tokens": 1})  # nothing but an answer tells how long the prompt was
            parts.prompt_tokens = one.usage.prompt_tokens if one.usage is not None else 0
        return parts.answer()


def question(request: GenerationRequest, prompt: Prompt, dialect: Dialect) -> dict[str, Any]:
    """What is sent for one prompt, by the names of the `openai` client."""
    parameters = dialect.parameters(request.decoding, prompt.id)
    chat = prompt.messages is not None
    if request.logprobs is not None:
        most = max(request.logprobs, dialect.least_logprobs)
        parameters |= {"logprobs": True, "top_logprobs": most} if chat else {"logprobs": most}
    if request.prompt_logprobs:
        if chat:
            raise Refused("prompt_logprobs: the server tells them of texts and tokens, not of messages.")
        parameters["extra_body"] = parameters["extra_body"] | {"prompt_logprobs": request.logprobs}
    parameters["model"] = dialect.asked_as or request.model
    if prompt.messages is not None:
        return parameters | {"messages": [message.model_dump() for message in prompt.messages]}
    return parameters | {"prompt": prompt.tokens or request.prefix + (prompt.text or "")}


def _is_streamed(request: GenerationRequest, tell: Tell | None) -> bool:
    return tell is not None or request.deadline_seconds is not None or request.decoding.stop_loops is not None


def _nameable(name: str) -> bool:
    try:
        return bool(_REFERENCE.validate_python(name))
    except ValidationError:
        return False
