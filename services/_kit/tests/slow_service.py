"""A service whose answers take their time: `python slow_service.py PORT`, settings as PLUMBLINE_*."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from plumbline_contracts.common import Info
from plumbline_contracts.operations import Service
from plumbline_kit import app, settings
from plumbline_kit.errors import ProblemError

router = APIRouter()
ASKED, ENDED, CLOSED, BROKEN, AWAY = map(Path, ("asked", "ended", "closed", "broken", "away"))


@router.get("/waits")
async def waits(seconds: float) -> float:
    ASKED.touch()
    try:
        await asyncio.sleep(seconds)
    finally:
        ENDED.touch()
    return seconds


@router.get("/works")
def works(seconds: float) -> float:
    ASKED.touch()
    time.sleep(seconds)  # in a thread, which nothing can end
    return seconds


@router.get("/streams")
async def streams() -> StreamingResponse:
    async def lines() -> AsyncIterator[bytes]:
        ASKED.touch()
        try:
            while True:
                yield b"line\n"
                await asyncio.sleep(0.1)
        finally:
            ENDED.touch()

    return StreamingResponse(lines())


class Slow:
    async def check(self) -> None:
        if BROKEN.exists():
            raise ProblemError(503, "broken", "It is broken.\nA second line.")
        if AWAY.exists():
            raise ProblemError(503, "away", "It is away.", retry_after=1)

    def info(self) -> Info:
        return Info(
            contract="slow/1.0.0", implementation="slow", version="1", model=None, revision=None, description="Slow."
        )


@asynccontextmanager
async def load() -> AsyncIterator[Service]:
    yield Slow()
    CLOSED.touch()


def main() -> None:
    contract = ModuleType("slow", "A slow contract.")
    contract.__dict__.update(NAME="slow", VERSION="1.0.0", router=router)
    config = settings.ServiceSettings(port=int(sys.argv[1]))
    app.serve(contract, load, config)


if __name__ == "__main__":
    main()
