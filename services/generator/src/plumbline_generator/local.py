"""The generator on transformers, in this process."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any, Self

import torch
import transformers
from plumbline_contracts import generator as contract
from plumbline_contracts.common import Info
from plumbline_contracts.generator import FinishReason, Generation, GenerationRequest, Prompt, sha256_of
from plumbline_kit.errors import ProblemError

from . import __version__
from .decoding import complete, written_text
from .encoding import encode, fault, rendered
from .failures import Refused, failed, refuse_what_it_cannot
from .folders import ModelFolders
from .settings import Settings
from .stopping import cut
from .weights import LoadedModel, Shelf

log = logging.getLogger(__name__)


class LocalGenerator:
    def __init__(self, folders: ModelFolders, config: Settings) -> None:
        self._folders, self._batch_size, self._dtype = folders, config.batch_size, config.dtype
        self._shelf = Shelf(folders, room=config.loaded_models, dtype=config.dtype)
        libraries = f"torch {torch.__version__}, {config.dtype} on {self._shelf.device}, plumbline {__version__}"
        self._version = f"{transformers.__version__} ({libraries})"

    @classmethod
    def load(cls, config: Settings, folders: ModelFolders | None = None) -> Self:
        """Models are loaded when they are first asked for."""
        if config.threads is not None:
            torch.set_num_threads(config.threads)
        _log_as_the_service_does()
        return cls(folders or ModelFolders.open(config), config)

    async def generate(self, request: GenerationRequest) -> contract.GenerationResponse:
        refuse_what_it_cannot(request, "the local engine", "tokens")
        loaded = await self._shelf.take(request.model)
        async with loaded.busy:
            generations = await self._work(loaded, request)
        return contract.GenerationResponse(
            generations=generations,
            model=request.model,
            weights_sha256=loaded.sha256,
            engine="transformers",
            engine_version=self._version,
        )

    async def _work(self, loaded: LoadedModel, request: GenerationRequest) -> list[Generation]:
        """Generate in a thread. A cancelled caller waits for the step under way, so that the model is free after it."""
        cancelled = threading.Event()
        work = asyncio.create_task(asyncio.to_thread(generate, loaded, request, self._batch_size, cancelled))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            cancelled.set()
            await asyncio.wait([work])
            raise

    async def models(self) -> contract.Models:
        return contract.Models(models=await asyncio.to_thread(self._shelf.available))

    async def identity(self, model: str) -> contract.ModelIdentity:
        folder = await asyncio.to_thread(self._folders.find, model)
        sha256 = await asyncio.to_thread(self._folders.digests.of, folder)
        return contract.ModelIdentity(
            model=model, weights_sha256=sha256, engine="transformers", engine_version=self._version, source=None
        )

    async def check(self) -> None:
        """Raise `no-models` without a model or leave to download one; else why trained weights cannot be fetched."""
        await asyncio.to_thread(self._folders.check)
        if not self._folders.may_have_more and not await asyncio.to_thread(self._shelf.available):
            detail = "There is no model in GENERATOR_MODELS_DIR or the artifact store, and GENERATOR_HUB is off."
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


def generate(
    loaded: LoadedModel, request: GenerationRequest, batch_size: int, cancelled: threading.Event
) -> list[Generation]:
    """Complete every prompt, those of similar length together; one Generation a prompt, in request order."""
    done: dict[int, Generation] = {}
    tokens: dict[int, list[int]] = {}
    for position, prompt in enumerate(request.prompts):
        try:
            encoded = encode(loaded, request, prompt)
        except Refused as error:
            done[position] = failed(prompt.id, 0, str(error))
            continue
        if (cause := fault(loaded, encoded, request.decoding.max_new_tokens)) is None:
            tokens[position] = encoded
        else:
            done[position] = failed(prompt.id, len(encoded), cause)
    order = sorted(tokens, key=lambda position: len(tokens[position]), reverse=True)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        asked = [request.prompts[position] for position in batch]
        results = _batch(loaded, request, asked, [tokens[position] for position in batch], cancelled)
        done.update(zip(batch, results, strict=True))
    return [done[position] for position in range(len(request.prompts))]


def _batch(
    loaded: LoadedModel,
    request: GenerationRequest,
    asked: list[Prompt],
    prompts: list[list[int]],
    cancelled: threading.Event,
) -> Iterator[Generation]:
    ids = [prompt.id for prompt in asked]
    try:
        none: list[list[int]] = [[] for _ in prompts]
        written = none if cancelled.is_set() else complete(loaded, prompts, ids, request.decoding, cancelled)
    except RuntimeError as error:  # torch's kind, out of memory among them
        log.exception("a batch failed")
        cause = f"{type(error).__name__}: {error}"
        return (failed(id, len(prompt), cause) for id, prompt in zip(ids, prompts, strict=True))
    return (
        _generation(loaded, request, prompt, before, tokens, cancelled=cancelled.is_set())
        for prompt, before, tokens in zip(asked, prompts, written, strict=True)
    )


def _generation(
    loaded: LoadedModel,
    request: GenerationRequest,
    prompt: Prompt,
    before: list[int],
    tokens: list[int],
    *,
    cancelled: bool,
) -> Generation:
    # A model's settings may name further end tokens than its tokenizer; like the tokenizer's, they are no text.
    written = tokens[:-1] if tokens and tokens[-1] in loaded.eos else tokens
    raw_text = written_text(loaded.tokenizer, before, written)
    text, stopped = cut(raw_text, request.decoding.stop)
    if stopped:
        reason = FinishReason.STOP_STRING
    elif tokens and tokens[-1] in loaded.eos:
        reason = FinishReason.EOS
    else:
        reason = FinishReason.CANCELLED if cancelled else FinishReason.LENGTH
    return Generation(
        id=prompt.id,
        text=text,
        raw_text=raw_text,
        finish_reason=reason,
        prompt_tokens=len(before),
        completion_tokens=len(tokens),
        cached_prompt_tokens=None,
        prompt_sha256=None if prompt.tokens is not None else sha256_of(rendered(loaded, request, prompt)),
        loop=None,
        audited=False,
        logprobs=None,
        prompt_logprobs=None,
        cause=None,
    )


def _log_as_the_service_does() -> None:
    """transformers writes to standard error by itself, with progress bars."""
    logs: Any = transformers.utils.logging
    logs.disable_progress_bar()
    logs.disable_default_handler()
    logs.enable_propagation()
