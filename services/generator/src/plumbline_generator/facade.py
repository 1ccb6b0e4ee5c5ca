"""The generator as a server of OpenAI's API, whatever its engine is."""

import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from typing import Any

from plumbline_contracts import openai
from plumbline_contracts.generator import Generation, GenerationRequest, Model, Origin
from plumbline_kit.errors import ProblemError

from . import asked, told
from .around import Around
from .telling import Part, parts_of


class OpenAIFacade(Around):
    async def complete(self, request: openai.CompletionRequest) -> openai.Completion:
        chunks = [chunk async for chunk in self._completion(request)]
        choices = sorted((one for chunk in chunks for one in chunk.choices), key=lambda one: one.index)
        return chunks[-1].model_copy(update={"choices": choices})

    async def complete_streaming(self, request: openai.CompletionRequest) -> AsyncGenerator[openai.Completion]:
        async with aclosing(self._completion(request)) as chunks:
            async for chunk in chunks:
                if chunk.choices or _wants_usage(request):
                    yield chunk

    async def _completion(self, request: openai.CompletionRequest) -> AsyncGenerator[openai.Completion]:
        prompts, choices = asked.prompts_of(request), request.n or 1
        head: dict[str, Any] = _head("cmpl", request.model) | {"object": "text_completion"}
        in_parts = bool(request.stream) and request.logprobs is None and not request.echo
        done = list[Generation]()
        async with aclosing(self._results(asked.completion(request), in_parts)) as results:
            async for one in results:
                if isinstance(one, Origin):
                    usage = told.usage(done, choices, written=request.max_tokens != 0)
                    yield openai.Completion(**head, choices=[], usage=usage, system_fingerprint=_fingerprint(one))
                    continue
                if isinstance(one, Part):
                    choice = told.completion_part(one)
                else:
                    done.append(one)
                    choice = told.completion_choice(request, prompts[int(one.id) // choices], one)
                    choice = choice.model_copy(update={"text": ""}) if in_parts else choice
                yield openai.Completion(**head, choices=[choice], usage=None, system_fingerprint=None)

    def _results(
        self, request: GenerationRequest, in_parts: bool
    ) -> AsyncGenerator[Part | Generation | Origin] | AsyncGenerator[Generation | Origin]:
        return parts_of(partial(self.stream, request)) if in_parts else self.stream(request)

    async def chat(self, request: openai.ChatCompletionRequest) -> openai.ChatCompletion:
        answer = await self.generate(await self._chat(request))
        choices = [
            openai.ChatChoice(
                index=int(one.id),
                message=told.message(one),
                logprobs=told.chat_logprobs(one),
                finish_reason=told.finish_reason(one),
            )
            for one in answer.generations
        ]
        return openai.ChatCompletion(
            **_head("chatcmpl", request.model),
            object="chat.completion",
            choices=choices,
            usage=told.usage(answer.generations, request.n or 1),
            system_fingerprint=_fingerprint(answer),
        )

    async def chat_streaming(self, request: openai.ChatCompletionRequest) -> AsyncGenerator[openai.ChatCompletionChunk]:
        head: dict[str, Any] = _head("chatcmpl", request.model) | {"object": "chat.completion.chunk"}
        done, begun, in_parts = list[Generation](), set[str](), not request.logprobs
        async with aclosing(self._results(await self._chat(request), in_parts)) as results:
            async for one in results:
                if not isinstance(one, Origin):
                    text = "" if in_parts and isinstance(one, Generation) else one.text
                    choice = told.chunk(one, text, first=one.id not in begun)
                    begun.add(one.id)
                    yield openai.ChatCompletionChunk(**head, choices=[choice], usage=None, system_fingerprint=None)
                    if isinstance(one, Generation):
                        done.append(one)
                elif _wants_usage(request):
                    usage, origin = told.usage(done, request.n or 1), _fingerprint(one)
                    yield openai.ChatCompletionChunk(**head, choices=[], usage=usage, system_fingerprint=origin)

    async def _chat(self, request: openai.ChatCompletionRequest) -> GenerationRequest:
        return asked.chat(request, await self.models())

    async def listed(self) -> openai.ModelList:
        models = (await self.models()).models
        return openai.ModelList(models=models, object="list", data=[_listed(model) for model in models])

    async def retrieved(self, model: str) -> openai.ListedModel:
        models = {one.name: one for one in (await self.models()).models}
        if model not in models:
            detail = f"{model!r} is not among the models that are listed here: {', '.join(models) or 'none'}."
            raise ProblemError(422, "unknown-model", detail)
        return _listed(models[model])


def _head(kind: str, model: str) -> dict[str, Any]:
    return {"id": f"{kind}-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}


def _fingerprint(origin: Origin) -> str:
    return f"{origin.engine} {origin.engine_version}"


def _wants_usage(request: openai.CompletionRequest | openai.ChatCompletionRequest) -> bool:
    return request.stream_options is not None and request.stream_options.include_usage


def _listed(model: Model) -> openai.ListedModel:
    return openai.ListedModel(
        id=model.name, object="model", created=0, owned_by="plumbline", max_model_len=model.context_length
    )
