"""OpenAI's API as far as a generator speaks it, for the clients of that API. It is no part of the generator's contract.

A parameter that could not be honoured is refused, unless it has the value that changes nothing; of those that name
the caller (`user`, `metadata`, ...) no use is made. `top_k` and `repetition_penalty` are vLLM's.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any, Literal, Protocol, TypeVar

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from .common import Describe, Request, Response, Text, implementation_of
from .generator import Models
from .openai_errors import refusal as refusal

NAME = "openai"
VERSION = "1.1.0"

Stop = Annotated[Text, Field(min_length=1, max_length=200)]
Tokens = list[Annotated[int, Field(ge=0)]]


class StreamOptions(Request):
    include_usage: bool = False
    include_obfuscation: Literal[False] | None = None


class _Sampling(Request):
    """What text and chat completions have in common. The defaults are OpenAI's, `temperature` 1 above all."""

    model: str
    temperature: float | None = Field(default=1.0, ge=0, le=5, description="0 is greedy. Null is 1, as with OpenAI.")
    top_p: float | None = Field(default=1.0, gt=0, le=1)
    top_k: int | None = Field(default=None, ge=-1, le=1_000_000, description="0 and -1 keep every token.")
    repetition_penalty: float | None = Field(default=None, gt=0, le=10)
    n: int | None = Field(
        default=1, ge=1, le=128, description="Choices per prompt, each with random numbers of its own."
    )
    stop: Stop | list[Stop] | None = None
    seed: int | None = Field(default=None, ge=0, le=2**32 - 1, description="Null: another one each time.")
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    presence_penalty: float | None = Field(default=None, ge=0, le=0)
    frequency_penalty: float | None = Field(default=None, ge=0, le=0)
    logit_bias: dict[str, float] | None = Field(default=None, max_length=0)
    user: str | None = None
    metadata: dict[str, str] | None = None
    store: Literal[False] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None


class CompletionRequest(_Sampling):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "tinyworld-base", "prompt": "Name three animals.\n", "max_tokens": 32}]
        }
    )

    prompt: Text | list[Text] | Tokens | list[Tokens] = Field(min_length=1)
    max_tokens: int | None = Field(default=16, ge=0, le=32_768, description="0 goes with `echo`.")
    logprobs: int | None = Field(default=None, ge=0, le=20)
    echo: bool | None = False
    best_of: int | None = Field(default=None, ge=1, le=1)
    suffix: str | None = Field(default=None, max_length=0)


class TextPart(Request):
    type: Literal["text"]
    text: Text


class ChatMessage(Request):
    role: Literal["system", "developer", "user", "assistant"]
    content: Text | list[TextPart]


class TextFormat(Request):
    type: Literal["text"]


class ChatCompletionRequest(_Sampling):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "tinyworld-sft", "messages": [{"role": "user", "content": "Name three animals."}]}]
        }
    )

    messages: list[ChatMessage] = Field(min_length=1, max_length=100)
    max_tokens: int | None = Field(default=None, ge=1, le=32_768)
    max_completion_tokens: int | None = Field(
        default=None, ge=1, le=32_768, description="Where neither is given: 1024, or half of a shorter context."
    )
    logprobs: bool | None = False
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    response_format: TextFormat | None = None
    tools: list[Any] | None = Field(default=None, max_length=0)


class PromptTokensDetails(Response):
    cached_tokens: int


class Usage(Response):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails | None = Field(description="Null where the engine does not tell.")


FinishReason = Literal["stop", "length"]


class CompletionLogprobs(Response):
    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


class CompletionChoice(Response):
    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: FinishReason | None = Field(description="Null of a part in a stream, after which there are others.")


class _Answer(Response):
    id: str
    created: int
    model: str
    system_fingerprint: str | None = Field(description="Engine and version; null while it is not known.")
    usage: Usage | None


class Completion(_Answer):
    """The whole answer; in a stream, a part of one choice, and at its end `usage` where it was asked for."""

    object: Literal["text_completion"]
    choices: list[CompletionChoice]


class ChatTopLogprob(Response):
    token: str
    logprob: float
    bytes: list[int] | None


class ChatTokenLogprob(ChatTopLogprob):
    top_logprobs: list[ChatTopLogprob]


class ChatLogprobs(Response):
    content: list[ChatTokenLogprob]
    refusal: None


class AssistantMessage(Response):
    role: Literal["assistant"]
    content: str
    refusal: None


class ChatChoice(Response):
    index: int
    message: AssistantMessage
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason


class ChatCompletion(_Answer):
    object: Literal["chat.completion"]
    choices: list[ChatChoice]


class ChatDelta(Response):
    role: Literal["assistant"] | None = Field(description="In a choice's first part only.")
    content: str
    refusal: None


class ChunkChoice(Response):
    index: int
    delta: ChatDelta
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason | None = Field(description="Null before a choice's last part.")


class ChatCompletionChunk(_Answer):
    object: Literal["chat.completion.chunk"]
    choices: list[ChunkChoice]


class ListedModel(Response):
    id: str
    object: Literal["model"]
    created: int = Field(description="Not known: 0.")
    owned_by: str
    max_model_len: int | None


class ModelList(Models):
    """The generator's list and OpenAI's in one, since both stand at `/v1/models`."""

    object: Literal["list"]
    data: list[ListedModel]


class OpenAI(Protocol):
    """A stream's chunks come as texts are written: no half characters, and nothing that a stop string takes back. With
    `logprobs` or `echo` each is a whole choice. What is wrong is told before the first, as far as it is known then."""

    async def complete(self, request: CompletionRequest) -> Completion: ...

    def complete_streaming(self, request: CompletionRequest) -> AsyncGenerator[Completion]: ...

    async def chat(self, request: ChatCompletionRequest) -> ChatCompletion: ...

    def chat_streaming(self, request: ChatCompletionRequest) -> AsyncGenerator[ChatCompletionChunk]: ...

    async def listed(self) -> ModelList: ...

    async def retrieved(self, model: str) -> ListedModel:
        """The one of that name in the list, or the problem `unknown-model`."""


Implementation = Annotated[OpenAI, Depends(implementation_of(OpenAI))]
Chunk = TypeVar("Chunk", bound=BaseModel)
router = APIRouter(prefix="/v1", tags=[NAME])


async def _events(chunks: AsyncGenerator[Chunk], describe: Describe) -> StreamingResponse:
    first = await anext(chunks)  # a problem before it is an answer of its own

    async def lines() -> AsyncIterator[str]:
        async with aclosing(chunks):
            yield f"data: {first.model_dump_json()}\n\n"
            try:
                async for chunk in chunks:
                    yield f"data: {chunk.model_dump_json()}\n\n"
            except Exception as error:  # the answer has begun, so that only an event can tell
                yield f"data: {json.dumps(refusal(describe(error))[1])}\n\n"
                return
            yield "data: [DONE]\n\n"

    return StreamingResponse(lines(), media_type="text/event-stream")


_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}


@router.get("/models", operation_id="openai_models")
async def models(server: Implementation) -> ModelList:
    """The generator's own `GET /v1/models`, with what OpenAI's clients look for beside it."""
    return await server.listed()


@router.get("/models/{model:path}", operation_id="openai_model")
async def model(model: str, server: Implementation) -> ListedModel:
    """A model of the list. Its name may have a slash, and clients may send that encoded (`%2F`) or as it is."""
    return await server.retrieved(model)


@router.post("/completions", operation_id="openai_completion", response_model=Completion, responses=_STREAM)
async def complete(request: CompletionRequest, server: Implementation, describe: Describe) -> Any:
    """Complete texts, or tokens. With `stream`, server-sent events that end with `[DONE]`."""
    if request.stream:
        return await _events(server.complete_streaming(request), describe)
    return await server.complete(request)


@router.post("/chat/completions", operation_id="openai_chat", response_model=ChatCompletion, responses=_STREAM)
async def chat(request: ChatCompletionRequest, server: Implementation, describe: Describe) -> Any:
    """Answer chat messages in the model's own template. With `stream`, events whose data are `ChatCompletionChunk`."""
    if request.stream:
        return await _events(server.chat_streaming(request), describe)
    return await server.chat(request)
