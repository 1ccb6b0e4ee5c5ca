"""What models take is known before they are read, and bounds how many stay."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from plumbline_generator import memory
from plumbline_generator.folders import ModelFolders
from plumbline_generator.memory import Need
from plumbline_generator.weights import Shelf
from plumbline_kit.errors import ProblemError
from plumbline_kit.folder_store import FolderStore
from safetensors.torch import load_file


@pytest.fixture
def models(tiny_model: Path, tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        shutil.copytree(tiny_model, tmp_path / "models" / name)
    return tmp_path / "models"


def need_of(folder: Path) -> Need:
    return Need.of(folder, itemsize=4, rows=2, most_cache=2**30)


def shelf(models: Path, most_bytes: int | None = None, trusted: tuple[str, ...] = ()) -> Shelf:
    folders = ModelFolders(models, FolderStore(models.parent / "artifacts"), download=False)
    return Shelf(folders, room=9, dtype="float32", need_of=need_of, most_bytes=most_bytes, trusted=trusted)


def loaded(on: Shelf) -> set[str]:
    return {model.name for model in on.available() if model.loaded}


def test_the_need_is_that_of_the_weights_and_of_a_full_batch(models: Path) -> None:
    parameters = sum(weight.numel() for weight in load_file(models / "a" / "model.safetensors").values())
    one_token = 2 * 2 * 32 * 4  # keys and values, layers, width, bytes
    assert need_of(models / "a") == Need(weights=4 * parameters, cache=2 * 2 * 256 * one_token)
    assert Need.of(models / "a", itemsize=2, rows=64, most_cache=1000) == Need(weights=2 * parameters, cache=1000)
    assert memory.available() > 0 and memory.budget() > 0


def test_what_cannot_fit_is_refused_before_it_is_read(models: Path) -> None:
    with pytest.raises(ProblemError, match=r"of weights and .* of keys and values.*GENERATOR_MEMORY_MB") as problem:
        asyncio.run(shelf(models, most_bytes=1000).take("a"))
    assert (problem.value.status, problem.value.kind) == (503, "insufficient-memory")


def test_models_are_put_away_by_memory_the_least_recently_used_first(models: Path) -> None:
    two = shelf(models, most_bytes=2 * need_of(models / "a").bytes)

    async def run() -> None:
        for name in ("a", "b", "a", "c"):
            await two.take(name)

    asyncio.run(run())
    assert loaded(two) == {"a", "c"}


def test_a_model_in_use_stays_and_who_finds_no_room_waits(models: Path) -> None:
    one = shelf(models, most_bytes=need_of(models / "a").bytes)

    async def run() -> None:
        async with one.using("a"):
            waiting = asyncio.create_task(one.take("b"))
            done, _ = await asyncio.wait([waiting], timeout=0.2)
            assert not done and loaded(one) == {"a"}
        await waiting
        assert loaded(one) == {"b"}

    asyncio.run(run())


def test_code_of_a_model_is_run_only_where_a_setting_names_it(models: Path) -> None:
    config = json.loads((models / "a" / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Model"}}
    (models / "a" / "config.json").write_text(json.dumps(config))
    (models / "a" / "own.py").write_text("raise RuntimeError('its own code ran')")
    with pytest.raises(ProblemError, match="GENERATOR_TRUSTED_CODE names a"):
        asyncio.run(shelf(models).take("a"))
    with pytest.raises(ProblemError, match="its own code ran"):
        asyncio.run(shelf(models, trusted=("a",)).take("a"))


def test_a_listed_model_tells_its_digest_once_it_is_known(models: Path) -> None:
    on = shelf(models)
    taken = asyncio.run(on.take("a"))
    found = {model.name: (model.weights_sha256, model.context_length) for model in on.available()}
    assert found == {"a": (taken.sha256, 256), "b": (None, 256), "c": (None, 256)}
