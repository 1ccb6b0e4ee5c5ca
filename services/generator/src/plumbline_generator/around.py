"""What stands around an engine hands on to it whatever it does not do itself."""

from collections.abc import AsyncGenerator
from typing import Protocol

from plumbline_contracts import generator as contract
from plumbline_contracts.common import Info
from plumbline_contracts.generator import Generation, GenerationRequest, Origin
from plumbline_contracts.operations import Service


class Engine(contract.Generator, Service, Protocol):
    """What an engine is, and what stands around one."""


class Around(contract.Generator):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def stream(self, request: GenerationRequest) -> AsyncGenerator[Generation | Origin]:
        return self._engine.stream(request)

    async def models(self) -> contract.Models:
        return await self._engine.models()

    async def identity(self, model: str) -> contract.ModelIdentity:
        return await self._engine.identity(model)

    async def check(self) -> None:
        await self._engine.check()

    def info(self) -> Info:
        return self._engine.info()
