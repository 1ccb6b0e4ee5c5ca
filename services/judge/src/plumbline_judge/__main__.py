"""Run the judge: settings -> implementation -> service."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from plumbline_contracts import judge as contract
from plumbline_contracts.operations import Service
from plumbline_kit import app, settings

from .completions import OpenAIServer
from .generator import GeneratorService
from .model_judge import ModelJudge
from .rubrics import Rubrics
from .rules import RulesJudge
from .settings import Settings


def main() -> None:
    config = settings.load(Settings)
    try:
        rubrics = Rubrics(config.rubrics_dir)
    except ValueError as error:
        print(f"setting JUDGE_RUBRICS_DIR: {error}", file=sys.stderr)
        sys.exit(2)

    @asynccontextmanager
    async def load() -> AsyncIterator[Service]:
        if config.implementation == "rules":
            yield RulesJudge()
            return
        backend = GeneratorService(config) if config.implementation == "generator" else OpenAIServer(config)
        try:
            yield ModelJudge(backend, rubrics, config)
        finally:
            await backend.close()

    app.serve(contract, load, config)


if __name__ == "__main__":
    main()
