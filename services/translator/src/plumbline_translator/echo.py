"""A translator without a model: returns every text as it is. For tests and dry runs."""

from itertools import permutations

from plumbline_contracts import translator as contract
from plumbline_contracts.common import Info

from . import __version__
from .flags import flags


class EchoTranslator:
    """Accepts any pair; lists those of Plumbline's own languages, so that a caller who looks first finds them."""

    async def translate(self, request: contract.TranslationRequest) -> contract.TranslationResponse:
        return contract.TranslationResponse(
            translations=[
                contract.Translation(id=text.id, text=text.text, flags=flags(text.text, text.text), cause=None)
                for text in request.texts
            ],
            engine="echo",
            package="none",
        )

    async def languages(self) -> contract.Languages:
        pairs = permutations(("en", "es", "fr"), 2)
        return contract.Languages(
            pairs=[
                contract.LanguagePair(source=source, target=target, package="none", revision=__version__)
                for source, target in pairs
            ]
        )

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
