"""Run the judge: settings -> implementation -> service."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from plumbline_contracts import judge as contract
from plumbline_contracts.operations import Service
from plumbline_kit import app, settings

from .openai import OpenAIJudge
from .rules import RulesJudge
from .settings import Settings


def main() -> None:
    config = settings.load(Settings)

    @asynccontextmanager
    async def load() -> AsyncIterator[Service]:
        if config.implementation == "rules":
            yield RulesJudge()
            return
        judge = OpenAIJudge(config)
        try:
            yield judge
        finally:
            await judge.close()

    app.serve(contract, load, config)


if __name__ == "__main__":
    main()
