"""Run the translator: settings -> implementation -> service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from plumbline_contracts import libretranslate
from plumbline_contracts import translator as contract
from plumbline_contracts.operations import Service
from plumbline_kit import app, settings

from .facade import LibreTranslateFacade
from .settings import Settings


def main() -> None:
    config = settings.load(Settings)

    @asynccontextmanager
    async def load() -> AsyncIterator[Service]:
        if config.engine == "echo":
            from .echo import EchoTranslator

            yield LibreTranslateFacade(EchoTranslator())
        else:
            from .argos import ArgosTranslator

            yield LibreTranslateFacade(await ArgosTranslator.load(config.packages_dir, config.threads))

    app.serve(contract, load, config, facades=[libretranslate])


if __name__ == "__main__":
    main()
