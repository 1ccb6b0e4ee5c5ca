"""Models of an inference server are asked there; all others run on the engine in this process, loaded when needed."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Protocol

from plumbline_contracts import generator as contract
from plumbline_contracts.common import Info
from plumbline_contracts.generator import Generation, GenerationRequest
from plumbline_kit.artifacts import SCHEME
from plumbline_kit.errors import ProblemError

from . import __version__
from .around import Engine
from .folders import ModelFolders, listed
from .settings import Settings
from .telling import Tell

if TYPE_CHECKING:
    from .openai import OpenAIServer
    from .tgi import TGIServer

_MENDED_BY_PEOPLE_S = 30


class InferenceServer(Protocol):
    """Its models by name, each with what is to be known of it to ask it."""

    @property
    def name(self) -> str: ...

    async def served(self) -> Mapping[str, Any]: ...

    def stream(
        self, request: GenerationRequest, told: Any, tell: Tell | None = None
    ) -> AsyncGenerator[Generation | contract.Origin]: ...

    async def identity(self, model: str, told: Any) -> contract.ModelIdentity: ...


def inference_server(config: Settings) -> "OpenAIServer | TGIServer":
    """The one that the settings name; the client of the other is not imported."""
    if config.engine == "tgi":
        from .tgi import TGIServer

        return TGIServer(config)
    from .openai import OpenAIServer

    return OpenAIServer(config)


class RoutedGenerator(contract.Generator):
    """`load_local` is called once, when a model that the server does not have is first asked for: torch is large.

    A model that the server once listed is never run here: an experiment must not change its engine in the middle.
    """

    def __init__(self, server: InferenceServer, folders: ModelFolders, load_local: Callable[[], Engine]) -> None:
        self._server, self._folders, self._load_local = server, folders, load_local
        self._seen = set[str]()
        self._local: Engine | None = None
        self._loading = asyncio.Lock()

    async def stream(
        self, request: GenerationRequest, tell: Tell | None = None
    ) -> AsyncGenerator[Generation | contract.Origin]:
        arrived = time.monotonic()
        served = await self._who_has(request.model)
        if request.model in served:
            results = self._server.stream(_left(request, arrived), served[request.model], tell)
        else:
            engine = await self._engine(request.model, list(served))
            results = engine.stream(_left(request, arrived), tell)
        async with aclosing(results):
            async for result in results:
                yield result

    async def identity(self, model: str) -> contract.ModelIdentity:
        served = await self._who_has(model)
        if model in served:
            return await self._server.identity(model, served[model])
        return await (await self._engine(model, list(served))).identity(model)

    async def _who_has(self, model: str) -> Mapping[str, Any]:
        """The models that the server has now, none where trained weights are asked for, which need no server."""
        if model.startswith(SCHEME):
            return {}
        served = await self._served()
        if model in self._seen and model not in served:
            raise _disappeared(model, list(served))
        return served

    async def models(self) -> contract.Models:
        served = await self._served()
        if self._local is None:
            here = await asyncio.to_thread(self._folders.available)
            local = [listed(name, folder) for name, folder in here.items()]
        else:
            local = (await self._local.models()).models
        there = [_there(name) for name in served]
        return contract.Models(models=there + [model for model in local if model.name not in self._seen])

    async def check(self) -> None:
        """Return when the server lists its models and weights can be fetched; else the problem that says why not."""
        await self._served()
        await asyncio.to_thread(self._folders.check)

    def info(self) -> Info:
        return Info(
            contract=f"{contract.NAME}/{contract.VERSION}",
            implementation=self._server.name,
            version=__version__,
            model="named in each request",
            revision=None,
            description="Models of an inference server; all others on transformers in this process.",
        )

    async def _served(self) -> Mapping[str, Any]:
        served = await self._server.served()
        self._seen |= served.keys()
        return served

    async def _engine(self, reference: str, served: list[str]) -> Engine:
        if self._local is None:
            await asyncio.to_thread(self._find, reference, served)
        async with self._loading:
            if self._local is None:
                self._local = await asyncio.to_thread(self._load_local)
        return self._local

    def _find(self, reference: str, served: list[str]) -> None:
        """Refuse an unknown model before the engine is loaded for it."""
        try:
            self._folders.find(reference)
        except ProblemError as error:
            if error.kind != "unknown-model":
                raise
            raise ProblemError(error.status, error.kind, f"{error.detail} {_has(served)}") from error


def _left(request: GenerationRequest, arrived: float) -> GenerationRequest:
    """With what is left of its deadline, below zero where it has passed while it was found out who has the model."""
    if request.deadline_seconds is None:
        return request
    left = request.deadline_seconds - (time.monotonic() - arrived)
    return request.model_copy(update={"deadline_seconds": left})


def _there(name: str) -> contract.Model:
    return contract.Model(
        name=name, loaded=True, source="server", revision=None, base=None, weights_sha256=None, context_length=None
    )


def _has(served: list[str]) -> str:
    return f"The inference server has {', '.join(served) or 'none'}."


def _disappeared(model: str, served: list[str]) -> ProblemError:
    detail = (
        f"The inference server had {model} and lists it no more; it is not run on another engine instead."
        f" {_has(served)} Serve it there again, or restart the generator to have it run here."
    )
    return ProblemError(503, "backend-unavailable", detail, retry_after=_MENDED_BY_PEOPLE_S)
