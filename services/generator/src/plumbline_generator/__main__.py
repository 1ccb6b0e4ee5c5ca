"""Run the generator: settings -> implementation -> service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from plumbline_contracts import generator as contract
from plumbline_contracts import openai
from plumbline_contracts.operations import Service
from plumbline_kit import app, settings

from .around import Engine
from .counting import Counted
from .facade import OpenAIFacade
from .folders import ModelFolders
from .queued import Queued
from .settings import Settings

if TYPE_CHECKING:
    from .local import LocalGenerator


def load_local(config: Settings, folders: ModelFolders) -> "LocalGenerator":
    """Imported here and not above: it brings torch, 360 MB of memory."""
    from .local import LocalGenerator

    return LocalGenerator.load(config, folders)


def served(engine: Engine, config: Settings) -> OpenAIFacade:
    return OpenAIFacade(Queued(Counted(engine), config.queue))


def main() -> None:
    config = settings.load(Settings)

    @asynccontextmanager
    async def load() -> AsyncIterator[Service]:
        if config.engine == "canned":
            from .canned import CannedGenerator

            yield served(CannedGenerator.load(config.canned_file), config)
        elif config.engine == "local":
            yield served(load_local(config, ModelFolders.open(config)), config)
        else:
            from .routed import RoutedGenerator, inference_server

            server, folders = inference_server(config), ModelFolders.open(config)
            try:
                yield served(RoutedGenerator(server, folders, lambda: load_local(config, folders)), config)
            finally:
                await server.close()

    app.serve(contract, load, config, facades=[openai])


if __name__ == "__main__":
    main()
