"""Run the analyzer: settings -> implementation -> service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from plumbline_contracts import analyzer as contract
from plumbline_contracts.operations import Service
from plumbline_kit import app, settings
from plumbline_kit.artifacts import open_store

from .detectors.identifier import LanguageIdentifier
from .settings import Settings
from .statistical import StatisticalAnalyzer


def main() -> None:
    config = settings.load(Settings)

    @asynccontextmanager
    async def load() -> AsyncIterator[Service]:
        identifier = await to_thread.run_sync(LanguageIdentifier, config.languages)
        yield StatisticalAnalyzer(identifier, open_store(config), config.workers)

    app.serve(contract, load, config)


if __name__ == "__main__":
    main()
