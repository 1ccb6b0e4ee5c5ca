"""The generator contract: complete finished prompts that may share a prefix, or chat messages."""

from enum import StrEnum
from typing import Annotated, Literal, Protocol, Self

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field, model_validator

from .common import REPEATABLE, ItemId, Request, Response, Sha256, Text, implementation_of, problems

NAME = "generator"
VERSION = "1.1.0"
PORT = 8002

ModelReference = Annotated[
    str,
    Field(
        pattern=r"^(artifact:[A-Za-z0-9][A-Za-z0-9._-]{0,199}"
        r"|[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?(@[A-Za-z0-9._-]{1,64})?)$",
        description="`artifact:ID` (weights that the trainer saved), the name of a model folder of the service,"
        " or a hub id with an optional @revision.",
        examples=["tinyworld-base", "utter-project/EuroLLM-1.7B", "artifact:dpo-zero-shot-5f0c1a"],
    ),
]


class Decoding(Request):
    """How text is drawn. `temperature` 0 is greedy; sampling uses one stream of random numbers per prompt,
    made from `seed` and the prompt's id, so that a result does not depend on its batch."""

    max_new_tokens: int = Field(ge=1, le=32_768)
    temperature: float = Field(default=0.0, ge=0, le=5)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0, le=1_000_000, description="0 keeps every token.")
    repetition_penalty: float = Field(default=1.0, gt=0, le=10)
    stop: list[Annotated[Text, Field(min_length=1, max_length=200)]] = Field(default=[], max_length=16)
    seed: int = Field(default=0, ge=0, le=2**32 - 1)


class Message(Request):
    role: Literal["system", "user", "assistant"]
    content: Text


class Prompt(Request):
    """Exactly one of `text` (appended to the request's prefix) and `messages` (for the model's own template)."""

    id: ItemId
    text: Text | None = Field(default=None, max_length=400_000)
    messages: list[Message] | None = Field(default=None, min_length=1, max_length=100)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.text is None) == (self.messages is None):
            raise ValueError("give either text or messages")
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
    prompts: list[Prompt] = Field(min_length=1, max_length=256)
    decoding: Decoding


class FinishReason(StrEnum):
    STOP_STRING = "stop_string"
    EOS = "eos"
    LENGTH = "length"
    LOOP = "loop"
    CANCELLED = "cancelled"
    ERROR = "error"


class Generation(Response):
    """`text` ends before the stop string; `raw_text` is all that the model wrote. With `error`, `cause` says why."""

    id: str
    text: str
    raw_text: str
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    cause: str | None


class GenerationResponse(Response):
    generations: list[Generation] = Field(description="One per prompt, in request order.")
    model: str
    weights_sha256: Sha256 | None = Field(description="Digest of the weights; null where the engine does not know it.")
    engine: str = Field(examples=["transformers"])
    engine_version: str


class Model(Response):
    name: str
    loaded: bool


class Models(Response):
    models: list[Model]


class ModelIdentity(Response):
    """What stands behind a model's name: as long as it is the same, so is what a prompt is completed with."""

    model: str
    weights_sha256: Sha256 | None = Field(description="Digest of the weights; null where the engine does not know it.")
    engine: str
    engine_version: str
    source: str | None = Field(
        description="What else tells these weights from others where there is no digest, such as a server's address."
    )


class Generator(Protocol):
    async def generate(self, request: GenerationRequest) -> GenerationResponse:
        """Complete every prompt, or raise the problem `unknown-model`."""

    async def models(self) -> Models: ...

    async def identity(self, model: ModelReference) -> ModelIdentity:
        """Who would complete prompts now, without loading anything, or the problem `unknown-model`."""


Implementation = Annotated[Generator, Depends(implementation_of(Generator))]
router = APIRouter(prefix="/v1", tags=[NAME])


@router.post("/generations", operation_id="generate", dependencies=[REPEATABLE], responses=problems(409))
async def generate(request: GenerationRequest, generator: Implementation) -> GenerationResponse:
    """Complete a batch of prompts. A prompt that fails does not fail the batch."""
    return await generator.generate(request)


@router.get("/models", operation_id="list_models", responses=problems())
async def models(generator: Implementation) -> Models:
    """The models that can be named in a request without a download."""
    return await generator.models()


@router.get("/models/identity", operation_id="identify_model", responses=problems())
async def identity(model: Annotated[ModelReference, Query()], generator: Implementation) -> ModelIdentity:
    """What stands behind a model's name. Cheap to repeat: weights are read once, and again when they have changed."""
    return await generator.identity(model)
