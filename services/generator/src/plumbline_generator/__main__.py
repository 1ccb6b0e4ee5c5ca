"""Run the generator: settings -> implementation -> service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from plumbline_contracts import generator as contract
from plumbline_contracts.operations import Service
from plumbline_kit import app, settings

from .settings import Settings


def main() -> None:
    config = settings.load(Settings)

    @asynccontextmanager
    async def load() -> AsyncIterator[Service]:
        if config.engine == "canned":
            from .canned import CannedGenerator

            yield CannedGenerator.load(config.canned_file)
        else:
            from .local import LocalGenerator

            yield LocalGenerator.load(config)

    app.serve(contract, load, config)


if __name__ == "__main__":
    main()
