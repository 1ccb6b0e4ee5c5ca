"""Run the coordinator: settings -> database and workflows -> service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from plumbline_contracts import coordinator as contract
from plumbline_contracts.operations import Service
from plumbline_kit import app, settings

from . import database
from .service import CoordinatorService
from .settings import Settings
from .store import Store
from .workflows import Workflows


def main() -> None:
    config = settings.load(Settings)

    @asynccontextmanager
    async def load() -> AsyncIterator[Service]:
        engine = database.connect(config.database_url)
        database.migrate(engine)
        store = Store(engine)
        workflows = Workflows(store, config)
        await workflows.launch()
        yield CoordinatorService(store, workflows, config)
        workflows.close()
        engine.dispose()

    app.serve(contract, load, config)


if __name__ == "__main__":
    main()
