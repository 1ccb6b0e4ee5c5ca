"""Instructions of the data set's language into the others."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from plumbline_contracts import translator
from plumbline_contracts.common import Info
from plumbline_contracts.coordinator import PhaseName
from plumbline_kit.client import ServiceClient

from ..rows import Outcome
from ..run import Run
from .stage import Ask, Asked, Loaded, Unit


class Translate:
    """Unit: the target language. Input: SourceText."""

    name = PhaseName.TRANSLATE

    def units(self, run: Run) -> Iterator[Unit]:
        for language in run.spec.languages:
            yield language, run.store.ids(run.id, language, foreign=True)

    def total(self, run: Run, planned: int) -> int:
        return planned

    def service(self, unit: str) -> str:
        return "translator"

    def load(self, run: Run, unit: str, items: Sequence[str]) -> Loaded:
        found = run.store.items(run.id, unit, items)
        return Loaded({one.item: translator.SourceText(id=one.item, text=one.source) for one in found})

    def asking(self, run: Run, client: ServiceClient) -> Ask:
        return partial(_ask, run, client)

    async def identity(self, run: Run, unit: str, asked: Asked) -> Any:
        """Of the package for this pair alone: one more language leaves the others as they are."""
        info = await asked("translator", "/info", Info)
        languages, source = await asked("translator", "/v1/languages", translator.Languages), run.spec.dataset.language
        pairs = [pair.model_dump() for pair in languages.pairs if (pair.source, pair.target) == (source, unit)]
        return [info.implementation, info.version, source, unit, pairs]

    def content(self, run: Run, unit: str, input: translator.SourceText) -> Any:
        return input.text

    def lasts(self, run: Run, body: dict[str, Any]) -> bool:
        return True


async def _ask(run: Run, client: ServiceClient, target: str, texts: Sequence[translator.SourceText]) -> list[Outcome]:
    request = translator.TranslationRequest(source=run.spec.dataset.language, target=target, texts=list(texts))
    answer = await client.call("POST", "/v1/translations", translator.TranslationResponse, request)
    engine = {"engine": answer.engine, "package": answer.package}
    return [
        Outcome(one.id, None, f"translation failed: {one.cause}")
        if one.text is None
        else Outcome(one.id, {"text": one.text, "flags": one.flags, **engine})
        for one in answer.translations
    ]
