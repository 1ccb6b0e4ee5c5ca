"""Instructions of the data set's language into the others."""

import asyncio
from collections.abc import Sequence

from plumbline_contracts import translator
from plumbline_contracts.coordinator import PhaseName

from ..run import Run
from ..store import Chunk, Outcome
from .stage import Unit


class Translate:
    """Unit: the target language."""

    name = PhaseName.TRANSLATE

    def plan(self, run: Run) -> list[Unit]:
        languages = run.spec.languages
        units = [(one, [i.item for i in run.items if i.language == one and i.translate]) for one in languages]
        return [(unit, items) for unit, items in units if items]

    def service(self, chunk: Chunk) -> str:
        return "translator"

    async def process(self, run: Run, chunk: Chunk, items: Sequence[str]) -> list[Outcome]:
        request = await asyncio.to_thread(_request, run, chunk.unit, items)
        async with run.client("translator") as client:
            answer = await client.call("POST", "/v1/translations", translator.TranslationResponse, request)
        engine = {"engine": answer.engine, "package": answer.package}
        return [
            Outcome(one.id, None, f"translation failed: {one.cause}")
            if one.text is None
            else Outcome(one.id, {"text": one.text, "flags": one.flags, **engine})
            for one in answer.translations
        ]


def _request(run: Run, target: str, items: Sequence[str]) -> translator.TranslationRequest:
    sources = {one.item: one.source for one in run.items if one.language == target}
    texts = [translator.SourceText(id=item, text=sources[item]) for item in items]
    return translator.TranslationRequest(source=run.spec.dataset.language, target=target, texts=texts)
