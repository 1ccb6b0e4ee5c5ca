"""Run the trainer: settings -> implementation -> service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from plumbline_contracts import trainer as contract
from plumbline_contracts.operations import Service
from plumbline_kit import app, settings

from .jobs import JobStore
from .settings import Settings
from .supervisor import Supervisor
from .trainer import JobTrainer


def main() -> None:
    config = settings.load(Settings)

    @asynccontextmanager
    async def load() -> AsyncIterator[Service]:
        store = JobStore(config.jobs_dir)
        supervisor = Supervisor(store, config)
        async with supervisor.supervise():
            yield JobTrainer(config, store, supervisor)

    app.serve(contract, load, config)


if __name__ == "__main__":
    main()
