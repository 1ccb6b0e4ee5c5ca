"""What stands around an engine hands on to it whatever it does not do itself."""

from collections.abc import AsyncGenerator
from typing import Protocol

from plumbline_contracts import generator as contract
from plumbline_contracts.common import Info
from plumbline_contracts.generator import Generation, GenerationRequest, Origin
from plumbline_contracts.operations import Service

from .telling import Tell


class Engine(contract.Generator, Service, Protocol):
    """What an engine is, and what stands around one."""

    def stream(self, request: GenerationRequest, tell: Tell | None = None) -> AsyncGenerator[Generation | Origin]:
        """As the contract says; `tell` gets what is certain of texts that are being written."""


class Around(contract.Generator):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def stream(self, request: GenerationRequest, tell: Tell | None = None) -> AsyncGenerator[Generation | Origin]:
        return self._engine.stream(request, tell)

    async def models(self) -> contract.Models:
        return await self._engine.models()

    async def identity(self, model: str) -> contract.ModelIdentity:
        return await self._engine.identity(model)

    async def check(self) -> None:
        await self._engine.check()

    def info(self) -> Info:
        return self._engine.info()
