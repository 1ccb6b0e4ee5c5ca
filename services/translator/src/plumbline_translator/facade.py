"""The translator as a server of LibreTranslate's API, whatever its engine is."""

import asyncio
from collections import defaultdict
from collections.abc import Container, Sequence
from typing import Protocol

from iso639 import Lang, is_language
from plumbline_contracts import libretranslate as api
from plumbline_contracts import translator as contract
from plumbline_contracts.common import Info
from plumbline_contracts.operations import Service
from plumbline_kit.errors import ProblemError

from .identifier import LanguageIdentifier


class Engine(contract.Translator, Service, Protocol):
    """What an engine is."""


class LibreTranslateFacade:
    def __init__(self, engine: Engine) -> None:
        self._engine, self._identifier = engine, LanguageIdentifier()

    async def translate_plainly(self, request: api.TranslateRequest) -> api.Translated:
        texts = [request.q] if isinstance(request.q, str) else request.q
        detected: list[api.Detection] | None = None
        sources = [request.source] * len(texts)
        if request.source == "auto":
            detected = await self._sources(texts, request.target)
            sources = [one.language for one in detected]
        translated = await self._translated(texts, sources, request.target)
        if isinstance(request.q, str):
            return api.Translated(translatedText=translated[0], detectedLanguage=detected and detected[0])
        return api.Translated(translatedText=translated, detectedLanguage=detected)

    async def detect(self, request: api.DetectRequest) -> list[api.Detection]:
        codes = {code for pair in (await self.languages()).pairs for code in (pair.source, pair.target)}
        return await asyncio.to_thread(self._guesses, request.q, codes)

    async def listed(self) -> list[api.ListedLanguage]:
        targets = defaultdict[str, set[str]](set)
        for pair in (await self.languages()).pairs:
            targets[pair.source] |= {pair.source, pair.target}
            targets[pair.target].add(pair.target)
        return [
            api.ListedLanguage(code=code, name=_name(code), targets=sorted(targets[code])) for code in sorted(targets)
        ]

    def _guesses(self, text: str, codes: Container[str]) -> list[api.Detection]:
        guesses = self._identifier.guesses(text, codes)
        return [api.Detection(confidence=round(100 * value, 1), language=code) for code, value in guesses]

    async def _sources(self, texts: Sequence[str], target: str) -> list[api.Detection]:
        """The language of each text: of what has no letters, the target's, so that it stays as it is."""
        codes = {target} | {pair.source for pair in (await self.languages()).pairs if pair.target == target}
        guessed = await asyncio.to_thread(lambda: [self._guesses(text, codes) for text in texts])
        found = []
        for place, (text, guesses) in enumerate(zip(texts, guessed, strict=True)):
            if not guesses and any(map(str.isalpha, text)):
                detail = f"Text {place} is in none of the languages that can be translated to {target!r}: "
                raise ProblemError(422, "unknown-language", f"{detail}{', '.join(sorted(codes - {target})) or 'none'}.")
            found.append(guesses[0] if guesses else api.Detection(confidence=0, language=target))
        return found

    async def _translated(self, texts: Sequence[str], sources: Sequence[str], target: str) -> list[str]:
        """What is in the target's language already stays as it is."""
        found = dict(enumerate(texts))
        places = defaultdict[str, list[int]](list)
        for place, source in enumerate(sources):
            places[source].append(place)
        places.pop(target, None)
        for source, those in places.items():
            some = [contract.SourceText(id=str(place), text=texts[place]) for place in those]
            answer = await self.translate(contract.TranslationRequest(source=source, target=target, texts=some))
            for one in answer.translations:
                if one.text is None:
                    raise ProblemError(422, "untranslatable", f"Text {one.id} cannot be translated. {one.cause}")
                found[int(one.id)] = one.text
        return [found[place] for place in range(len(texts))]

    async def translate(self, request: contract.TranslationRequest) -> contract.TranslationResponse:
        return await self._engine.translate(request)

    async def languages(self) -> contract.Languages:
        return await self._engine.languages()

    async def check(self) -> None:
        await self._engine.check()

    def info(self) -> Info:
        return self._engine.info()


def _name(code: str) -> str:
    """Argos has codes of its own, too."""
    return Lang(code).name if is_language(code) else code
