"""What models take is known before they are read, and bounds how many stay."""

import asyncio
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plumbline_generator import memory
from plumbline_generator.folders import ModelFolder, ModelFolders
from plumbline_generator.memory import Need
from plumbline_generator.packing import Packing
from plumbline_generator.shelf import Shelf
from plumbline_kit.errors import ProblemError
from plumbline_kit.folder_store import FolderStore
from safetensors.torch import load_file
from torch.nn import Linear
from transformers import AutoConfig, LlamaForCausalLM, PreTrainedModel


@pytest.fixture
def models(tiny_model: Path, tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        shutil.copytree(tiny_model, tmp_path / "models" / name)
    return tmp_path / "models"


def need_of(folder: ModelFolder) -> Need:
    return Need.of(folder.main, dtype="float32", rows=2, most_cache=2**30)


def shelf(models: Path, most_bytes: int | None = None, **more: Any) -> Shelf:
    folders = ModelFolders(models, FolderStore(models.parent / "artifacts"), download=False)
    return Shelf(folders, **({"room": 9, "dtype": "float32", "need_of": need_of, "most_bytes": most_bytes} | more))


def loaded(on: Shelf) -> set[str]:
    return {model.name for model in on.available() if model.loaded}


def test_the_need_is_that_of_the_weights_and_of_a_full_batch(models: Path) -> None:
    shapes = [weight.shape for weight in load_file(models / "a" / "model.safetensors").values()]
    parameters = sum(shape.numel() for shape in shapes)
    one_token = 2 * 2 * 32 * 4  # keys and values, layers, width, bytes
    assert need_of(ModelFolder(models / "a")) == Need(weights=4 * parameters, cache=2 * 2 * 256 * one_token)
    assert Need.of(models / "a", dtype="bfloat16", rows=64, most_cache=1000) == Need(weights=2 * parameters, cache=1000)
    assert memory.available() > 0 and memory.budget() > 0


def test_packing_is_reckoned_as_it_is_done(models: Path) -> None:
    """Against the bytes of the packed layers, of a model with an output layer of its own and one without."""
    for name, tie in (("a", False), ("b", True)):
        config = AutoConfig.from_pretrained(models / name, tie_word_embeddings=tie)
        model = LlamaForCausalLM(config)
        model.save_pretrained(models / name)
        model = model.bfloat16()
        before = sum(weight.nbytes for weight in model.parameters())
        linear_layers = [layer for layer in model.modules() if isinstance(layer, Linear)]
        Packing(model, rows=4)
        assert not any(isinstance(layer, Linear) for layer in model.modules())
        copied = sum(linear.weight.nbytes for linear in linear_layers)
        tied = model.get_input_embeddings().weight.nbytes if tie else 0
        need = Need.of(models / name, "bfloat16", rows=4, most_cache=1, packed=True)
        assert (need.weights, need.weights + need.loading) == (before + tied, before + copied)
        assert need.peak == before + copied > need.bytes
        # Of the type that the file has, they stay mapped.
        assert Need.of(models / name, "float32", rows=4, most_cache=1, packed=True).loading == 0


def test_a_screened_output_layer_is_reckoned(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is the table of the input, too, and large."""
    for tie in (False, True):
        model = LlamaForCausalLM(AutoConfig.from_pretrained(models / "a", tie_word_embeddings=tie))
        model.save_pretrained(models / "a")
        plain, near = (
            Need.of(models / "a", "float32", rows=4, most_cache=1, packed=True, screened=screened)
            for screened in (False, True)
        )
        assert near == plain
        with monkeypatch.context() as any_size:
            any_size.setattr(memory, "SCREENED_FROM", 1)
            near = Need.of(models / "a", "float32", rows=4, most_cache=1, packed=True, screened=True)
        rounded = model.lm_head.weight.bfloat16().nbytes if tie else 0
        assert near.weights == plain.weights + rounded


def test_what_cannot_fit_is_refused_before_it_is_read(models: Path) -> None:
    with pytest.raises(ProblemError, match=r"of weights and .* of keys and values.*GENERATOR_MEMORY_MB") as problem:
        asyncio.run(shelf(models, most_bytes=1000).take("a"))
    assert (problem.value.status, problem.value.kind) == (503, "insufficient-memory")


def test_models_are_put_away_by_memory_the_least_recently_used_first(models: Path) -> None:
    two = shelf(models, most_bytes=2 * need_of(ModelFolder(models / "a")).bytes)

    async def run() -> None:
        for name in ("a", "b", "a", "c"):
            await two.take(name)

    asyncio.run(run())
    assert loaded(two) == {"a", "c"}


def test_a_model_in_use_stays_and_who_finds_no_room_waits(models: Path) -> None:
    one = shelf(models, most_bytes=need_of(ModelFolder(models / "a")).bytes)

    async def run() -> None:
        async with one.using("a"):
            waiting = asyncio.create_task(one.take("b"))
            done, _ = await asyncio.wait([waiting], timeout=0.2)
            assert not done and loaded(one) == {"a"}
        await waiting
        assert loaded(one) == {"b"}

    asyncio.run(run())


class Gate:
    """Holds loads back until it is opened, and knows how many are under way."""

    def __init__(self) -> None:
        self.opened, self.waiting = threading.Event(), 0

    def __call__(self, _: PreTrainedModel) -> None:
        self.waiting += 1
        self.opened.wait()
        self.waiting -= 1


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def test_models_are_loaded_side_by_side_where_there_is_room_and_nobody_else_waits(models: Path) -> None:
    gate = Gate()
    on = shelf(models, batch_of=gate)

    async def run() -> None:
        first, second, again = (asyncio.create_task(on.take(name)) for name in ("a", "b", "a"))
        await until(lambda: gate.waiting == 2)
        assert loaded(on) == set()
        gate.opened.set()
        assert await first is await again
        await second
        gate.opened.clear()
        third = asyncio.create_task(on.take("c"))
        await until(lambda: gate.waiting == 1)
        await on.take("a")  # though another is being loaded
        gate.opened.set()
        await third

    asyncio.run(run())
    assert loaded(on) == {"a", "b", "c"}


def test_what_is_being_loaded_is_counted_with_what_loading_takes(models: Path) -> None:
    """Two fit when they are there, and not while both take a second copy."""
    gate, need = Gate(), Need(weights=50, cache=10, loading=45)
    on = shelf(models, most_bytes=need.bytes + need.peak, need_of=lambda _: need, batch_of=gate)

    async def run() -> None:
        tasks = [asyncio.create_task(on.take(name)) for name in ("a", "b")]
        await until(lambda: gate.waiting == 1)
        done, _ = await asyncio.wait(tasks, timeout=0.2)
        assert not done and gate.waiting == 1
        gate.opened.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())
    assert loaded(on) == {"a", "b"}


def test_idle_models_go_before_one_is_refused_for_what_others_took(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = shelf(models)
    asyncio.run(on.take("a"))
    monkeypatch.setattr(memory, "available", lambda: 1000)
    with pytest.raises(ProblemError, match="but 1 MiB are free") as problem:
        asyncio.run(on.take("b"))
    assert (problem.value.kind, loaded(on)) == ("insufficient-memory", set())


def test_a_load_that_fails_gives_its_room_back(models: Path) -> None:
    (models / "a" / "tokenizer.json").unlink()
    on = shelf(models, room=1)

    async def run() -> None:
        results = await asyncio.gather(*(on.take(name) for name in ("a", "a", "b")), return_exceptions=True)
        assert [getattr(result, "kind", "loaded") for result in results] == ["unusable-model"] * 2 + ["loaded"]

    asyncio.run(run())


def test_code_of_a_model_is_run_only_where_a_setting_names_it(models: Path) -> None:
    config = json.loads((models / "a" / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Model"}}
    (models / "a" / "config.json").write_text(json.dumps(config))
    (models / "a" / "own.py").write_text("raise RuntimeError('its own code ran')")
    with pytest.raises(ProblemError, match="GENERATOR_TRUSTED_CODE names a"):
        asyncio.run(shelf(models).take("a"))
    with pytest.raises(ProblemError, match="its own code ran"):
        asyncio.run(shelf(models, trusted=["a"]).take("a"))


def test_a_listed_model_tells_its_digest_once_it_is_known(models: Path) -> None:
    on = shelf(models)
    taken = asyncio.run(on.take("a"))
    found = {model.name: (model.weights_sha256, model.context_length) for model in on.available()}
    assert found == {"a": (taken.sha256, 256), "b": (None, 256), "c": (None, 256)}
