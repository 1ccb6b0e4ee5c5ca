"""The translator contract: batches of texts from one language to another, with what went wrong per text."""

from enum import StrEnum
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field

from .common import REPEATABLE, ItemId, Language, Request, Response, Text, implementation_of, problems

NAME = "translator"
VERSION = "1.1.0"
PORT = 8001


MOST_TEXTS = 256  # of a request
Prose = Annotated[Text, Field(max_length=200_000)]


class SourceText(Request):
    id: ItemId
    text: Prose


class TranslationRequest(Request):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"source": "en", "target": "fr", "texts": [{"id": "7", "text": "Name three animals."}]},
            ]
        }
    )

    source: Language
    target: Language
    texts: list[SourceText] = Field(min_length=1, max_length=MOST_TEXTS)


class TranslationFlag(StrEnum):
    """What is suspicious about a translation. A flagged text is delivered all the same."""

    UNTRANSLATED = "untranslated"
    LOOPED = "looped"
    CODE_CHANGED = "code_changed"
    PLACEHOLDER_CHANGED = "placeholder_changed"
    EMPTY = "empty"


class Translation(Response):
    """`text` is null when the translation failed; then `cause` says why."""

    id: str
    text: str | None
    flags: list[TranslationFlag]
    cause: str | None


class TranslationResponse(Response):
    translations: list[Translation] = Field(description="One per text, in request order.")
    engine: str = Field(examples=["argos"])
    package: str = Field(description="Name and version of the package or model that translated.")


class LanguagePair(Response):
    source: str
    target: str
    package: str
    revision: str | None = Field(description="Changes with what the package translates; null where that is not known.")


class Languages(Response):
    pairs: list[LanguagePair]


class Translator(Protocol):
    async def translate(self, request: TranslationRequest) -> TranslationResponse:
        """Translate every text, or raise the problem `unknown-language-pair`."""

    async def languages(self) -> Languages: ...


Implementation = Annotated[Translator, Depends(implementation_of(Translator))]
router = APIRouter(prefix="/v1", tags=[NAME])


@router.post("/translations", operation_id="translate", dependencies=[REPEATABLE], responses=problems(409))
async def translate(request: TranslationRequest, translator: Implementation) -> TranslationResponse:
    """Translate a batch of texts. A text that fails does not fail the batch."""
    return await translator.translate(request)


@router.get("/languages", operation_id="list_languages", responses=problems())
async def languages(translator: Implementation) -> Languages:
    """The pairs that can be translated now."""
    return await translator.languages()
