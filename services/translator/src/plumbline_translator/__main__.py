"""Run the translator: settings -> implementation -> service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from plumbline_contracts import translator as contract
from plumbline_contracts.operations import Service
from plumbline_kit import app, settings

from .echo import EchoTranslator
from .settings import Settings


def main() -> None:
    config = settings.load(Settings)

    @asynccontextmanager
    async def load() -> AsyncIterator[Service]:
        if config.engine == "echo":
            yield EchoTranslator()

    app.serve(contract, load, config)


if __name__ == "__main__":
    main()
