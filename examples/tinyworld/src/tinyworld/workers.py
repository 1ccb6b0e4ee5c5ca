"""Child processes that train, one thread each, so that the caller's process keeps its own thread settings.

Nothing here imports torch: a child must set its environment first, and the parent never needs it.
"""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from queue import Empty
from random import Random
from typing import Any

from tinyworld import LANGUAGES
from tinyworld.parameters import Parameters

Progress = Callable[[str, int, int], None]
TRANSLATED = tuple(language for language in LANGUAGES if language != "en")
MODEL = Path("models", "tinyworld-base")
PROCESSES = 2

_news: Any = None


def _prepare(news: Any) -> None:
    """Runs in each child before anything else. One thread makes sums exact from run to run, as well as being polite."""
    global _news
    _news = news
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.update(OMP_NUM_THREADS="1", OMP_WAIT_POLICY="PASSIVE", TOKENIZERS_PARALLELISM="false")
    # The build needs no network, and says so to libraries that would look for one.
    os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_PROGRESS_BARS="1")


def _end_with_parent() -> None:
    """A child whose parent was killed would else wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _quieten() -> None:
    import torch
    from transformers.utils import logging

    torch.set_num_threads(1)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]


def _reporter(part: str) -> Callable[[int, int], None]:
    def report(done: int, total: int) -> None:
        if done % 10 == 0 or done == total:
            _news.put((part, done, total))

    return report


def base(folder: Path, seed: int, parameters: Parameters) -> float:
    """The base model, and the preference pairs, whose rejected halves it writes itself. Returns the seconds taken."""
    _quieten()
    from tinyworld import rows
    from tinyworld.base_model import build_base
    from tinyworld.generation import texts
    from tinyworld.prompts import zero_shot

    start = time.monotonic()
    model, tokenizer = build_base(folder / MODEL, seed, parameters.base_steps, _reporter("base"))
    asked = rows.training_pairs(Random(f"preferences {seed}"), parameters.preference_rows)
    prompts = [zero_shot(row["instruction"]) for row in asked]
    rejected = texts(model, tokenizer, prompts, parameters.rejected_tokens)
    rows.write_jsonl(folder / "data" / "preferences.jsonl", rows.preference_pairs(asked, rejected))
    return time.monotonic() - start


def translator(folder: Path, language: str, seed: int, parameters: Parameters) -> float:
    _quieten()
    from tinyworld.argos import build_package

    start = time.monotonic()
    build_package(folder / "argos", language, seed, parameters.translator_steps, _reporter(f"en-{language}"))
    return time.monotonic() - start


def train_all(folder: Path, seed: int, parameters: Parameters, progress: Progress) -> dict[str, float]:
    """Trains the three models into `folder`; the base model takes about as long as both translators in turn."""
    context = get_context("spawn")
    news, others = context.Queue(), set(active_children())
    with ProcessPoolExecutor(PROCESSES, mp_context=context, initializer=_prepare, initargs=(news,)) as pool:
        parts = {"base": pool.submit(base, folder, seed, parameters)}
        for language in TRANSLATED:
            parts[f"en-{language}"] = pool.submit(translator, folder, language, seed, parameters)
        try:
            _follow(parts, news, progress)
        except BaseException:  # an interrupt too; leaving the pool would wait until its children have trained
            for child in set(active_children()) - others:
                child.terminate()
            raise
    return {part: round(future.result(), 1) for part, future in parts.items()}


def _follow(parts: dict[str, Future[float]], news: Any, progress: Progress) -> None:
    """Passes news on until all parts are done, or raises what the first one to fail raised."""
    waiting = set(parts.values())
    while waiting:
        done, waiting = wait(waiting, timeout=0.2)
        for future in done:
            future.result()
        try:
            while True:
                progress(*news.get_nowait())
        except Empty:
            pass
