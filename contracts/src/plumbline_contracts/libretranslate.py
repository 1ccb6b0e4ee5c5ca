"""LibreTranslate's API as far as a translator speaks it, for the clients of that API. It is no part of the contract.

Requests are JSON or a form. A parameter that could not be honoured is refused. Of `api_key` no use is made: where a
token is configured, it is a bearer token here as well.
"""

import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal, Protocol
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends
from fastapi import Request as HttpRequest
from fastapi import Response as HttpResponse
from fastapi.routing import APIRoute
from pydantic import ConfigDict, Field
from starlette.datastructures import MutableHeaders

from .common import Language, Problem, Request, Response, implementation_of
from .translator import MOST_TEXTS, Prose

NAME = "libretranslate"
VERSION = "1.0.0"
_FORM = "application/x-www-form-urlencoded"


class TranslateRequest(Request):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"q": "Name three animals.", "source": "en", "target": "fr"}]}
    )

    q: Prose | Annotated[list[Prose], Field(min_length=1, max_length=MOST_TEXTS)]
    source: Language | Literal["auto"] = Field(description="With `auto` the language of each text is told from it.")
    target: Language
    format: Literal["text"] = "text"
    alternatives: int = Field(default=0, ge=0, le=0)
    api_key: str | None = None


class DetectRequest(Request):
    model_config = ConfigDict(json_schema_extra={"examples": [{"q": "Name three animals."}]})

    q: Prose
    api_key: str | None = None


class Detection(Response):
    confidence: float = Field(ge=0, le=100, description="In percent.")
    language: str


class Translated(Response):
    """Both are lists where `q` was one."""

    translatedText: str | list[str]
    detectedLanguage: Detection | list[Detection] | None = Field(None, description="Absent unless `source` was `auto`.")


class ListedLanguage(Response):
    code: str
    name: str = Field(description="In English.", examples=["French"])
    targets: list[str] = Field(description="What can be translated to from it, itself among them.")


class LibreTranslate(Protocol):
    async def translate_plainly(self, request: TranslateRequest) -> Translated:
        """Every text, or the problem of the first that fails: `untranslatable`, or one of the contract's."""

    async def detect(self, request: DetectRequest) -> list[Detection]:
        """The likeliest first, of those that are listed; none where a text has no letters, or is in none of them."""

    async def listed(self) -> list[ListedLanguage]: ...


def refusal(problem: Problem) -> tuple[int, dict[str, Any]]:
    """Status and body with which LibreTranslate would tell it."""
    return 400 if problem.status == 422 else problem.status, {"error": problem.detail}


class _FormAsJson(HttpRequest):
    """A form with each field once, read as the JSON object that would say the same."""

    def __init__(self, request: HttpRequest) -> None:
        super().__init__({**request.scope, "headers": list(request.scope["headers"])}, request.receive)
        MutableHeaders(scope=self.scope)["content-type"] = "application/json"

    async def body(self) -> bytes:
        fields = parse_qsl((await super().body()).decode(errors="replace"), keep_blank_values=True)
        return json.dumps(dict(fields)).encode()


class _FormOrJson(APIRoute):
    def get_route_handler(self) -> Callable[[HttpRequest], Coroutine[Any, Any, HttpResponse]]:
        handle = super().get_route_handler()

        async def read(request: HttpRequest) -> HttpResponse:
            is_form = request.headers.get("content-type", "").startswith(_FORM)
            return await handle(_FormAsJson(request) if is_form else request)

        return read


def _as_form(model: type[Request]) -> dict[str, Any]:
    return {"requestBody": {"content": {_FORM: {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}}}


Implementation = Annotated[LibreTranslate, Depends(implementation_of(LibreTranslate))]
router = APIRouter(tags=[NAME], route_class=_FormOrJson)


@router.post(
    "/translate",
    operation_id="libretranslate_translate",
    response_model_exclude_none=True,
    openapi_extra=_as_form(TranslateRequest),
)
async def translate(request: TranslateRequest, server: Implementation) -> Translated:
    """Translate a text, or several in one request."""
    return await server.translate_plainly(request)


@router.post("/detect", operation_id="libretranslate_detect", openapi_extra=_as_form(DetectRequest))
async def detect(request: DetectRequest, server: Implementation) -> list[Detection]:
    """Tell the language of a text."""
    return await server.detect(request)


@router.get("/languages", operation_id="libretranslate_languages")
async def languages(server: Implementation) -> list[ListedLanguage]:
    """What can be translated now."""
    return await server.listed()
