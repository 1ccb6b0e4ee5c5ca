"""Models behind an OpenAI-compatible inference server: vLLM, SGLang, llama.cpp, TGI, or another."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from openai.types import Completion
from openai.types.chat import ChatCompletion
from plumbline_contracts import generator as contract
from plumbline_contracts.generator import (
    Decoding,
    FinishReason,
    Generation,
    GenerationRequest,
    ModelReference,
    Prompt,
    sha256_of,
)
from plumbline_kit.errors import ProblemError
from pydantic import TypeAdapter, ValidationError

from .completions import Completions
from .dialects import Dialect, dialect_of
from .failures import PREFIX_WITH_MESSAGES, Refused, failed, refuse_what_it_cannot
from .finishing import as_finished
from .settings import Settings
from .stopping import cut

Answer = Completion | ChatCompletion
_ENDS = {"length": FinishReason.LENGTH, "stop_sequence": FinishReason.STOP_STRING}
_REFERENCE: TypeAdapter[str] = TypeAdapter(ModelReference)


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
        self, request: GenerationRequest, dialect: Dialect
    ) -> AsyncGenerator[Generation | contract.Origin]:
        """Complete every prompt. An outage that one of them meets ends the others: the request is to be repeated."""
        refuse_what_it_cannot(request, f"the inference server ({dialect.name or 'unknown'})")
        about = await self._completions.about(dialect.about)
        if (fault := dialect.refusal(request.decoding, about)) is not None:
            raise ProblemError(422, "unsupported-decoding", fault)
        build = None
        asked = as_finished(self._generation(request, prompt, dialect) for prompt in request.prompts)
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
        self, request: GenerationRequest, prompt: Prompt, dialect: Dialect
    ) -> tuple[Generation, str | None]:
        """The result of one prompt, and the server's build where the answer names it."""
        try:
            answer = await self._answer(request, prompt, dialect)
            generation = read(answer, prompt.id, request.decoding, dialect)
            if prompt.text is not None:  # messages are rendered there
                generation = generation.model_copy(update={"prompt_sha256": sha256_of(request.prefix + prompt.text)})
            return generation, answer.system_fingerprint
        except Refused as error:
            return failed(prompt.id, 0, str(error)), None
        except ValidationError as error:
            fault = error.errors()[0]
            return failed(prompt.id, 0, f"The server's answer has a wrong {fault['loc'][0]}: {fault['msg']}."), None

    async def _answer(self, request: GenerationRequest, prompt: Prompt, dialect: Dialect) -> Answer:
        model = dialect.asked_as or request.model
        parameters = dialect.parameters(request.decoding, prompt.id)
        if prompt.messages is None:
            return await self._completions.text(request.prefix + (prompt.text or ""), model, parameters)
        if request.prefix:
            raise Refused(PREFIX_WITH_MESSAGES)
        messages = [message.model_dump() for message in prompt.messages]
        return await self._completions.chat(messages, model, parameters)


def _nameable(name: str) -> bool:
    try:
        return bool(_REFERENCE.validate_python(name))
    except ValidationError:
        return False


def read(answer: Answer, id: str, decoding: Decoding, dialect: Dialect) -> Generation:
    """The one choice of an answer; Refused where it is not there or not counted."""
    if not answer.choices or answer.usage is None:
        raise Refused(f"The server's answer lacks a {'count of tokens' if answer.choices else 'choice'}.")
    choice: Any = answer.choices[0]
    written = choice.text if isinstance(answer, Completion) else choice.message.content
    stopped_by = getattr(choice, dialect.stopped_by, None) if dialect.stopped_by else None
    raw_text = (written or "") + (stopped_by if isinstance(stopped_by, str) else "")
    text, stopped = cut(raw_text, decoding.stop)
    reason = FinishReason.STOP_STRING if stopped else _reason(choice.finish_reason, decoding, dialect)
    return Generation(
        id=id,
        text=text,
        raw_text=raw_text,
        finish_reason=reason,
        prompt_tokens=answer.usage.prompt_tokens,
        completion_tokens=answer.usage.completion_tokens,
        cached_prompt_tokens=getattr(answer.usage.prompt_tokens_details, "cached_tokens", None),
        prompt_sha256=None,
        loop=None,
        audited=False,
        logprobs=None,
        prompt_logprobs=None,
        cause=f"The server ended it for {choice.finish_reason!r}." if reason == FinishReason.ERROR else None,
    )


def _reason(told: str, decoding: Decoding, dialect: Dialect) -> FinishReason:
    """Why a text ended that holds no stop string."""
    if told != "stop":
        return _ENDS.get(told, FinishReason.ERROR)  # a content filter, an abort
    # A server that cuts the stop string off and does not name it leaves it open; most often it was one.
    hidden = decoding.stop and dialect.stopped_by is None and not dialect.tells_stop
    return FinishReason.STOP_STRING if hidden else FinishReason.EOS
