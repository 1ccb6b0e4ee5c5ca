"""The whole build: into a folder beside the target, which takes the target's place once everything is there."""

import shutil
import time
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any

from tinyworld import LANGUAGES, manifest, rows
from tinyworld.parameters import Parameters
from tinyworld.prompts import urial_prefix
from tinyworld.workers import MODEL, Progress, train_all


class NotOursError(Exception):
    """The target holds something that no earlier build wrote, so it is not replaced."""


def cached(out: Path, seed: int, parameters: Parameters) -> dict[str, Any] | None:
    """The manifest of a finished build of just these inputs, if `out` holds one."""
    found = manifest.read(out)
    wanted = manifest.key_of(manifest.inputs(seed, parameters))
    return found if found and found["key"] == wanted and manifest.is_whole(out, found) else None


def build(out: Path, seed: int, parameters: Parameters, progress: Progress) -> dict[str, Any]:
    """Builds `out` anew and returns its manifest. Until the end `out` stays what it was.

    Raises NotOursError when `out` is a folder or file that is no tinyworld.
    """
    out = out.resolve()
    _check_replaceable(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(mkdtemp(prefix=f".{out.name}.building-", dir=out.parent))
    try:
        work.chmod(0o755)
        result = _fill(work, seed, parameters, progress)
        _publish(work, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return result


def _check_replaceable(out: Path) -> None:
    empty = out.is_dir() and not any(out.iterdir())
    if out.exists() and not empty and manifest.read(out) is None:
        raise NotOursError(f"{out} is there already and holds no tinyworld; remove it or choose another folder")


def _fill(work: Path, seed: int, parameters: Parameters, progress: Progress) -> dict[str, Any]:
    start = time.monotonic()
    made_from = manifest.inputs(seed, parameters)
    write_data(work, seed, parameters)
    write_prompts(work)
    seconds = train_all(work, seed, parameters, progress)
    shutil.copy(Path(__file__).with_name("model_card.md"), work / MODEL / "README.md")
    return manifest.write(work, made_from, {**seconds, "all": round(time.monotonic() - start, 1)})


def write_data(folder: Path, seed: int, parameters: Parameters) -> None:
    data = folder / "data"
    for language in LANGUAGES:
        name = "instructions.jsonl" if language == "en" else f"instructions.{language}.jsonl"
        rows.write_jsonl(data / name, rows.instructions(language))
    rows.write_jsonl(data / "sft.jsonl", rows.training_pairs(Random(f"sft {seed}"), parameters.sft_rows))


def write_prompts(folder: Path) -> None:
    (folder / "prompts").mkdir(parents=True)
    for language in LANGUAGES:
        (folder / "prompts" / f"urial.{language}.txt").write_text(urial_prefix(language), encoding="utf-8")


def _publish(work: Path, out: Path) -> None:
    """A folder cannot replace a full one in one step, so the old one moves aside first."""
    old = work.with_name(f"{work.name}.old")
    if out.exists():
        out.rename(old)
    work.rename(out)
    shutil.rmtree(old, ignore_errors=True)
