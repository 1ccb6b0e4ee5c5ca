"""A translator without a model: returns every text as it is, flagged as untranslated. For tests and dry runs."""

from plumbline_contracts import translator as contract
from plumbline_contracts.common import Info

from . import __version__


class EchoTranslator:
    async def translate(self, request: contract.TranslationRequest) -> contract.TranslationResponse:
        untranslated = [contract.TranslationFlag.UNTRANSLATED]
        return contract.TranslationResponse(
            translations=[
                contract.Translation(id=text.id, text=text.text, flags=untranslated, cause=None)
                for text in request.texts
            ],
            engine="echo",
            package="none",
        )

    async def languages(self) -> contract.Languages:
        return contract.Languages(pairs=[])

    async def check(self) -> None:
        """Always able."""

    def info(self) -> Info:
        return Info(
            contract=f"{contract.NAME}/{contract.VERSION}",
            implementation="echo",
            version=__version__,
            model=None,
            revision=None,
            description="Does not translate: returns every text unchanged.",
        )
