"""Shapes every service shares: strict requests, tolerant responses, one error body."""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, Header
from fastapi import Request as HttpRequest
from fastapi.sse import ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Request(BaseModel):
    """Sent to a service. Unknown fields are refused, so a typo fails loudly."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Response(BaseModel):
    """Returned by a service. Unknown fields are ignored, so a newer server may add some; no field has a default."""

    model_config = ConfigDict(extra="ignore", frozen=True)


# A NUL byte cannot be stored in PostgreSQL text, so it is refused at the door.
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
ItemId = Annotated[Text, StringConstraints(min_length=1, max_length=200)]
Language = Annotated[
    str, StringConstraints(pattern=r"^[a-z]{2,3}$"), Field(description="ISO 639 code.", examples=["en", "fr", "es"])
]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Artifact(BaseModel):
    """A file or folder in the artifact store. The digest is checked whenever it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    uri: Annotated[str, StringConstraints(pattern=r"^artifact:[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")] = Field(
        examples=["artifact:dpo-zero-shot-5f0c1a"]
    )
    sha256: Sha256
    bytes: int = Field(ge=0)


class Place(Response):
    """One of several faults in a request, and where it stands."""

    place: str = Field(examples=["body.items.3.language", "quickstart.yaml:12 arms[2].weights"])
    message: str


class Problem(Response):
    """RFC 9457 problem details. Clients branch on `type`; people read `detail`."""

    type: str = Field(examples=["urn:plumbline:problem:invalid-request"])
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    instance: str | None = Field(description="Request id, as found in the logs of every service involved.")
    errors: list[Place] = Field(description="Every fault at once, where there are several.")


class Info(Response):
    """Who answers behind this URL; stored with every experiment."""

    contract: str = Field(examples=["judge/1.0.0"])
    implementation: str = Field(examples=["openai", "rules"])
    version: str
    model: str | None = Field(description="The model behind it; null says that no model is involved.")
    revision: str | None = Field(description="Revision or digest of that model, where it is known.")
    description: str = Field(description="One sentence for reports: what this implementation is.")


class Health(Response):
    status: str = Field(examples=["ok"])


_MEANING = {
    401: "A bearer token is configured and the request does not carry it.",
    404: "No such thing.",
    409: "The id is taken by a different request, or the state does not allow this.",
    413: "The request is larger than the service accepts.",
    422: "The request is wrong; `errors` names every fault.",
    429: "Too many requests; see Retry-After.",
    500: "The service failed.",
    503: "The service cannot work now; see Retry-After.",
}


def problems(*also: int) -> dict[int | str, dict[str, Any]]:
    """Declare the errors an operation may answer with, beside those that any may.

    FastAPI's `model=` would declare application/json, so the media type is spelled out;
    `export.document` adds the schema.
    """
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": _MEANING[status], "content": content}
        for status in sorted({401, 413, 422, 429, 500, 503, *also})
    }


_ETAG = {"ETag": {"description": "Strong: the same for the same bytes.", "schema": {"type": "string"}}}
# Declares an operation whose answer has an ETag, beside `responses=problems()`. The kit does the rest.
TAGGED: dict[int | str, dict[str, Any]] = {
    200: {"headers": _ETAG},
    304: {"description": "The answer still is the one that If-None-Match names.", "headers": _ETAG},
}


async def _if_none_match(
    if_none_match: Annotated[
        str | None, Header(description="ETags that the caller has, or `*`; 304 instead of any of them.")
    ] = None,
) -> None:
    """Read by the kit; here for the document."""


async def _idempotency_key(
    idempotency_key: Annotated[
        str | None,
        Header(
            description="Chosen by the caller, for one request and its repetitions. A repetition gets the first answer "
            "(with `Idempotency-Replayed: true`) while that is remembered; while there is none yet it is held, and "
            "answered 409 when that takes long. Another body under the same key is refused with 422.",
            examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
        ),
    ] = None,
) -> None:
    """Read by the kit; here for the document."""


CONDITIONAL = Depends(_if_none_match)  # goes with TAGGED
REPEATABLE = Depends(_idempotency_key)  # goes with problems(409)

LastEventId = Annotated[
    str | None, Header(description="The id of the last event that the caller has seen; what it missed follows.")
]


def sent(data: BaseModel, id: str) -> Any:
    """A server-sent event with an id. Not typed as one: the annotation of its route names the schema of `data`."""
    return ServerSentEvent(data=data, id=id)


async def _describe(request: HttpRequest) -> Callable[[Exception], Problem]:
    return cast(Callable[[Exception], Problem], request.state.describe)


# What an error is in an answer that has begun (see `plumbline_kit.app`).
Describe = Annotated[Callable[[Exception], Problem], Depends(_describe)]

T = TypeVar("T")


def implementation_of(_: type[T]) -> Callable[[HttpRequest], Coroutine[Any, Any, T]]:
    """The dependency that hands a route what the lifespan loaded (see `plumbline_kit.app`)."""

    async def implementation(request: HttpRequest) -> T:
        return cast(T, request.state.implementation)

    return implementation
