"""The generator contract: complete finished prompts that may share a prefix, or chat messages."""

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from enum import StrEnum
from typing import Annotated, Literal, Protocol, Self

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field, model_validator

from .common import (
    REPEATABLE,
    Describe,
    ItemId,
    Problem,
    Request,
    Response,
    Sha256,
    Text,
    implementation_of,
    problems,
)
from .decoding import Decoding as Decoding
from .decoding import StopLoops as StopLoops
from .weights import ModelReference as ModelReference

NAME = "generator"
VERSION = "1.3.0"
PORT = 8002


def sha256_of(text: str) -> str:
    """Of a prefix or of a rendered prompt."""
    return hashlib.sha256(text.encode()).hexdigest()


class Message(Request):
    role: Literal["system", "user", "assistant"]
    content: Text


class Prompt(Request):
    """Exactly one of `text` (appended to the request's prefix), `messages` (for the model's own template) and `tokens`
    (ids of the model's own, as they are)."""

    id: ItemId
    text: Text | None = Field(default=None, max_length=400_000)
    messages: list[Message] | None = Field(default=None, min_length=1, max_length=100)
    tokens: list[Annotated[int, Field(ge=0)]] | None = Field(default=None, min_length=1, max_length=200_000)

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if [self.text, self.messages, self.tokens].count(None) != 2:
            raise ValueError("give one of text, messages and tokens")
        return self


class GenerationRequest(Request):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "model": "tinyworld-base",
                    "prefix": "",
                    "prompts": [{"id": "7", "text": "Name three animals.\n"}],
                    "decoding": {"max_new_tokens": 32, "stop": ["# Query"]},
                }
            ]
        }
    )

    model: ModelReference
    prefix: Text = Field(default="", max_length=400_000, description="Text before every prompt, as with URIAL.")
    prefix_sha256: Sha256 | None = Field(
        default=None, description="Digest of `prefix` in UTF-8, for whoever groups requests by it; refused if wrong."
    )
    prompts: list[Prompt] = Field(min_length=1, max_length=256)
    decoding: Decoding
    logprobs: int | None = Field(
        default=None, ge=0, le=20, description="Log-probabilities of the tokens written, and of so many alternatives."
    )
    prompt_logprobs: bool = Field(default=False, description="With `logprobs`: those of the prompt's tokens, too.")
    deadline_seconds: float | None = Field(
        default=None, gt=0, le=86_400, description="What is not finished by then is `cancelled`, with what it wrote."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.prefix_sha256 not in (None, sha256_of(self.prefix)):
            raise ValueError(f"prefix_sha256 is not the digest of prefix, which is {sha256_of(self.prefix)}")
        if len({prompt.id for prompt in self.prompts}) < len(self.prompts):
            raise ValueError("two prompts have the same id; results are told apart by it")
        if self.prompt_logprobs and self.logprobs is None:
            raise ValueError("prompt_logprobs goes with logprobs: say how many alternatives, 0 for none")
        return self


class FinishReason(StrEnum):
    STOP_STRING = "stop_string"
    EOS = "eos"
    LENGTH = "length"
    LOOP = "loop"
    CANCELLED = "cancelled"
    ERROR = "error"


class Alternative(Response):
    """A token that could have stood there. `logprob` is natural, of the model's own distribution: before temperature,
    penalties and filters."""

    token: str
    logprob: float


class TokenLogprob(Response):
    """A token and the most probable ones at its place, best first. The first token of a text has no probability."""

    token: str
    logprob: float | None
    alternatives: list[Alternative]


class Loop(Response):
    """Where the repetition begins, its length, and where the rule was met first; all in characters of `raw_text`."""

    onset: int
    period: int
    met_at: int
    tokens_saved: int = Field(description="Of `max_new_tokens`, by ending there; 0 where the text was let run.")


class Generation(Response):
    """`text` ends before the stop string; `raw_text` is all that the model wrote. With `error`, `cause` says why."""

    id: str
    text: str
    raw_text: str
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    cached_prompt_tokens: int | None = Field(
        description="Of `prompt_tokens`, those not computed for this prompt, since others begin the same; null where"
        " the engine does not tell."
    )
    prompt_sha256: Sha256 | None = Field(
        description="Digest of the rendered prompt in UTF-8; null where another server renders it, or it is tokens."
    )
    loop: Loop | None = Field(description="With `stop_loops`, where the text became a loop.")
    audited: bool = Field(description="With `stop_loops`, whether this one was let run.")
    logprobs: list[TokenLogprob] | None = Field(description="Of the tokens written, where asked for.")
    prompt_logprobs: list[TokenLogprob] | None = Field(description="Of the prompt's tokens, where asked for.")
    cause: str | None


class Origin(Response):
    """What wrote a text."""

    model: str
    weights_sha256: Sha256 | None = Field(description="Digest of the weights; null where the engine does not know it.")
    engine: str = Field(examples=["transformers"])
    engine_version: str


class GenerationResponse(Origin):
    generations: list[Generation] = Field(description="One per prompt, in request order.")


class GenerationEvent(Response):
    """A line of a stream: exactly one of them. After an `origin` or a `problem` there is none."""

    generation: Generation | None
    origin: Origin | None
    problem: Problem | None


class Model(Response):
    name: str
    loaded: bool
    source: Literal["folder", "artifact", "hub", "server", "canned"] = Field(
        description="`hub`: downloaded into the cache of this machine."
    )
    revision: str | None = Field(description="The commit, where it was downloaded from the hub.")
    base: str | None = Field(description="Reference of the model that it goes over, where it is an adapter.")
    weights_sha256: Sha256 | None = Field(description="Null where it is not known, or not yet.")
    context_length: int | None = Field(description="Most tokens of a prompt and its text; null where not known.")


class Models(Response):
    models: list[Model]


class ModelIdentity(Origin):
    """What stands behind a model's name: as long as it is the same, so is what a prompt is completed with."""

    source: str | None = Field(
        description="What else tells these weights from others where there is no digest, such as a server's address."
    )


class Generator(Protocol):
    def stream(self, request: GenerationRequest) -> AsyncGenerator[Generation | Origin]:
        """Every prompt's Generation as soon as it is finished, in any order, and last the Origin; closing it ends the
        work. Raises `unknown-model` and what else is wrong with the request before anything is written."""

    async def generate(self, request: GenerationRequest) -> GenerationResponse:
        """Complete every prompt; made from `stream` for whoever inherits from this protocol."""
        written = dict[str, Generation]()
        origin: Origin | None = None
        async with aclosing(self.stream(request)) as events:
            async for event in events:
                if isinstance(event, Generation):
                    written[event.id] = event
                else:
                    origin = event
        assert origin is not None, "a stream ends with its origin"
        generations = [written[prompt.id] for prompt in request.prompts]
        return GenerationResponse(generations=generations, **origin.model_dump())

    async def models(self) -> Models: ...

    async def identity(self, model: ModelReference) -> ModelIdentity:
        """Who would complete prompts now, without loading anything, or the problem `unknown-model`."""


Implementation = Annotated[Generator, Depends(implementation_of(Generator))]
router = APIRouter(prefix="/v1", tags=[NAME])


@router.post("/generations", operation_id="generate", dependencies=[REPEATABLE], responses=problems(409))
async def generate(request: GenerationRequest, generator: Implementation) -> GenerationResponse:
    """Complete a batch of prompts. A prompt that fails does not fail the batch."""
    return await generator.generate(request)


async def _begun(
    request: GenerationRequest, generator: Implementation, describe: Describe
) -> AsyncIterator[AsyncIterator[GenerationEvent]]:
    """The events from the first one on: as a dependency, so that a problem before it is no stream that breaks."""
    async with aclosing(generator.stream(request)) as results:
        first = await anext(results)
        yield _events(first, results, describe)


async def _events(
    first: Generation | Origin, results: AsyncIterator[Generation | Origin], describe: Describe
) -> AsyncIterator[GenerationEvent]:
    yield _event(first)
    try:
        async for result in results:
            yield _event(result)
    except Exception as error:  # the answer has begun, so that only an event can tell
        yield GenerationEvent(generation=None, origin=None, problem=describe(error))


def _event(result: Generation | Origin) -> GenerationEvent:
    written = isinstance(result, Generation)
    return GenerationEvent(generation=result if written else None, origin=None if written else result, problem=None)


@router.post("/generations/stream", operation_id="stream_generations", responses=problems())
async def stream(
    events: Annotated[AsyncIterator[GenerationEvent], Depends(_begun)],
) -> AsyncIterator[GenerationEvent]:
    """Complete a batch of prompts; JSON Lines: each generation when it is finished, in any order, then the origin.

    A problem before the first of them is an answer of its own, a later one the last line. A caller that closes the
    connection ends the work.
    """
    async for event in events:
        yield event


@router.get("/models", operation_id="list_models", responses=problems())
async def models(generator: Implementation) -> Models:
    """The models that can be named in a request without a download."""
    return await generator.models()


@router.get("/models/identity", operation_id="identify_model", responses=problems())
async def identity(model: Annotated[ModelReference, Query()], generator: Implementation) -> ModelIdentity:
    """What stands behind a model's name. Cheap to repeat: weights are read once, and again when they have changed."""
    return await generator.identity(model)
