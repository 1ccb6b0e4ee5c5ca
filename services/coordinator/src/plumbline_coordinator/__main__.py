"""Run the coordinator: settings -> database, claim and workflows -> service."""

import signal
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from plumbline_contracts import coordinator as contract
from plumbline_contracts.operations import Service
from plumbline_kit import app, settings
from plumbline_kit.errors import ProblemError

from . import allocation, database
from .lease import claim
from .service import CoordinatorService
from .settings import Settings
from .store import Store
from .workflows import Workflows


def main() -> None:
    allocation.share()
    # The first process of a container ignores what it does not handle; `serve` puts its own in this place.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    config = settings.load(Settings)
    mine = claim(config.database, config.executor, config.lease_s)
    engine = database.connect(config.database, name=mine.session("coordinator"))
    try:
        with database.usable():
            database.migrate(engine)
        mine.acquire()
    except ProblemError as error:
        said_by_the_server = getattr(error.__cause__, "orig", "")
        sys.exit(f"coordinator: {error} {said_by_the_server}".strip())

    @asynccontextmanager
    async def load() -> AsyncIterator[Service]:
        store = Store(engine)
        with ExitStack() as ending:  # all of it, in the opposite order, whichever fails
            ending.callback(engine.dispose)
            ending.callback(mine.release)
            workflows = Workflows(store, config, mine)
            ending.callback(workflows.close)
            await workflows.launch()
            yield CoordinatorService(store, workflows, config)

    app.serve(contract, load, config)


if __name__ == "__main__":
    main()
