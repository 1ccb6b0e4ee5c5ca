"""The generator on transformers, in this process."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import torch
import transformers
from plumbline_contracts import generator as contract
from plumbline_contracts.common import Info
from plumbline_contracts.generator import Generation, GenerationRequest, Origin
from plumbline_kit.errors import ProblemError
from transformers import PreTrainedModel

from . import __version__
from .batch import Batch, Row
from .continuation import Continuation, Work
from .decoding import complete_plainly
from .encoding import check, encode
from .failures import Refused, failed
from .folders import ModelFolder, ModelFolders
from .forward import SharedForward
from .memory import MIB, Need
from .prefixes import common_length
from .products import can_pack
from .screening import can_screen
from .settings import Settings
from .shelf import Shelf
from .telling import Tell
from .weights import LoadedModel

# Caches of oneDNN and of torch above it, of a compiled product per number of tokens that come in together: 1,024 each
# by default, some 300 MB after 10,000 prompts. The environment is read when torch first multiplies.
_COMPILED_PRODUCTS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64", "LRU_CACHE_CAPACITY": "64"}


class LocalGenerator(contract.Generator):
    def __init__(self, folders: ModelFolders, config: Settings) -> None:
        self._folders, self._batch_size, self._dtype = folders, config.batch_size, config.dtype
        self._kv_cache_bytes = config.kv_cache_mb * 2**20
        self._shelf = Shelf(
            folders,
            room=config.loaded_models,
            dtype=config.dtype,
            batch_of=self._batch_of,
            need_of=self._need_of,
            most_bytes=None if config.memory_mb is None else config.memory_mb * MIB,
            trusted=config.trusted_code,
        )
        libraries = f"torch {torch.__version__}, {config.dtype} on {self._shelf.device}, plumbline {__version__}"
        self._version = f"{transformers.__version__} ({libraries})"

    @classmethod
    def load(cls, config: Settings, folders: ModelFolders | None = None) -> Self:
        """Models are loaded when they are first asked for."""
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        for name, entries in _COMPILED_PRODUCTS.items():
            os.environ.setdefault(name, entries)
        _log_as_the_service_does()
        return cls(folders or ModelFolders.open(config), config)

    async def stream(self, request: GenerationRequest, tell: Tell | None = None) -> AsyncGenerator[Generation | Origin]:
        """Each result as it is finished, then what wrote them. Closing it cancels what is not finished."""
        asked = time.monotonic()  # a deadline counts from here: loading a model may take most of it
        async with self._shelf.using(request.model) as loaded:
            told = None if tell is None else _in_this_loop(tell)
            rows, refused = await asyncio.to_thread(prepared, loaded, request, told)
            for one in refused:
                yield one
            results: asyncio.Queue[Generation] = asyncio.Queue()
            work = Work(_in_this_loop(results.put_nowait))
            if request.deadline_seconds is not None:
                work.ends = asked + request.deadline_seconds
            try:
                async with self._working(loaded, request, rows, work):
                    for _ in rows:
                        yield await results.get()
            finally:
                work.cancelled.set()
            yield Origin(
                model=request.model, weights_sha256=loaded.sha256, engine="transformers", engine_version=self._version
            )

    @asynccontextmanager
    async def _working(
        self, loaded: LoadedModel, request: GenerationRequest, rows: Sequence[Continuation], work: Work
    ) -> AsyncIterator[None]:
        """Results come while this is open. Leaving it early ends the work with the step under way."""
        if loaded.batch is not None:
            shared = await asyncio.to_thread(shared_tokens, loaded, request, rows)
            loaded.batch.submit([Row(work, row, shared) for row in rows])
            yield
            return
        async with loaded.busy:
            running = asyncio.create_task(asyncio.to_thread(complete_plainly, loaded, rows, self._batch_size, work))
            try:
                yield
            finally:
                work.cancelled.set()
                await asyncio.wait([running])

    def _need_of(self, folder: ModelFolder) -> Need:
        kind = self._shelf.device, getattr(torch, self._dtype)
        return Need.of(
            folder.main,
            self._dtype,
            self._batch_size,
            self._kv_cache_bytes,
            packed=can_pack(*kind),
            screened=can_screen(*kind),
            adapter=None if folder.base is None else folder.path,
        )

    def _batch_of(self, model: PreTrainedModel) -> Batch | None:
        forward = SharedForward.of(model, self._batch_size)
        if forward is None:
            return None
        return Batch(forward, most_rows=self._batch_size, most_bytes=self._kv_cache_bytes)

    async def models(self) -> contract.Models:
        return contract.Models(models=await asyncio.to_thread(self._shelf.available))

    async def identity(self, model: str) -> contract.ModelIdentity:
        folder = await self._shelf.find(model)
        sha256 = await asyncio.to_thread(self._folders.sha256, folder)
        return contract.ModelIdentity(
            model=model, weights_sha256=sha256, engine="transformers", engine_version=self._version, source=None
        )

    async def check(self) -> None:
        """Raise `no-models` without a model or leave to download one; else why trained weights cannot be fetched."""
        await asyncio.to_thread(self._folders.check)
        if not self._folders.may_have_more and not await asyncio.to_thread(self._shelf.available):
            detail = (
                "There is no model in GENERATOR_MODELS_DIR or the artifact store, and GENERATOR_HUB is off."
                " Put a model's folder there, or set GENERATOR_HUB=true, or GENERATOR_ENGINE=canned, which needs none."
            )
            raise ProblemError(503, "no-models", detail)

    def info(self) -> Info:
        return Info(
            contract=f"{contract.NAME}/{contract.VERSION}",
            implementation="local",
            version=__version__,
            model="named in each request",
            revision=None,
            description=f"Causal language models on transformers {transformers.__version__},"
            f" {self._dtype} on {self._shelf.device}.",
        )


def prepared(
    loaded: LoadedModel, request: GenerationRequest, tell: Tell | None = None
) -> tuple[list[Continuation], list[Generation]]:
    """The prompts that can be completed, and results for those that cannot."""
    rows, refused = [], []
    for prompt in request.prompts:
        tokens: list[int] = []
        try:
            tokens = encode(loaded, request, prompt)
            check(loaded, tokens, request.decoding.max_new_tokens)
        except Refused as error:
            refused.append(failed(prompt.id, len(tokens), error))
        else:
            rows.append(Continuation(loaded, request, prompt, tokens, tell))
    return rows, refused


def shared_tokens(loaded: LoadedModel, request: GenerationRequest, rows: Sequence[Continuation]) -> int:
    """With how many tokens all these prompts begin the same, and the request's prefix where it has one.

    A prefix and a text are tokenized as one, so the tokens around their border are those of the whole.
    """
    sequences = [row.before for row in rows]
    if request.prefix:
        sequences.append(list(loaded.tokenizer(request.prefix, verbose=False).input_ids))
    return common_length(*sequences) if len(sequences) > 1 else 0


def _in_this_loop(call: Callable[..., None]) -> Callable[..., None]:
    """The same, to be called from any thread."""
    loop = asyncio.get_running_loop()

    def hand_over(*arguments: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(call, *arguments)

    return hand_over


def _log_as_the_service_does() -> None:
    """transformers writes to standard error by itself, with progress bars."""
    logs: Any = transformers.utils.logging
    logs.disable_progress_bar()
    logs.disable_default_handler()
    logs.enable_propagation()
