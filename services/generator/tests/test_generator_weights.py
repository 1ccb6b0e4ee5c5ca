"""Finding, refusing and putting away models."""

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from plumbline_generator.folders import ModelFolders
from plumbline_generator.shelf import Shelf
from plumbline_generator.weights import LoadedModel
from plumbline_kit.artifacts import digest
from plumbline_kit.errors import ProblemError
from plumbline_kit.folder_store import FolderStore
from safetensors.torch import load_file, save_file


def shelf(models: Path, room: int = 1) -> Shelf:
    folders = ModelFolders(models, FolderStore(models.parent / "artifacts"), download=False)
    return Shelf(folders, room=room, dtype="float32")


def take(on: Shelf, *references: str) -> list[LoadedModel]:
    async def all() -> list[LoadedModel]:
        return [await on.take(reference) for reference in references]

    return asyncio.run(all())


@pytest.fixture
def models(tiny_model: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_model, tmp_path / "models" / "tiny")
    return tmp_path / "models"


def test_a_model_is_loaded_once_and_known_by_its_digest(models: Path) -> None:
    first, second = take(shelf(models), "tiny", "tiny")
    assert first is second
    assert first.sha256 == digest(models / "tiny")[0]


def test_the_least_recently_used_model_is_put_away(models: Path) -> None:
    for name in ("b", "c"):
        shutil.copytree(models / "tiny", models / "org" / name)
    two = shelf(models, room=2)
    take(two, "tiny", "org/b", "tiny", "org/c")
    assert {model.name for model in two.available() if model.loaded} == {"tiny", "org/c"}


def test_a_changed_folder_is_loaded_again(models: Path) -> None:
    on = shelf(models)
    [before] = take(on, "tiny")
    file = models / "tiny" / "model.safetensors"
    weights = {name: weight * 2 for name, weight in load_file(file).items()}
    save_file(weights, file, metadata={"format": "pt"})
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 10**9))
    [after] = take(on, "tiny")
    assert after is not before and after.sha256 == digest(models / "tiny")[0] != before.sha256


def test_artifacts_are_models(models: Path) -> None:
    store = FolderStore(models.parent / "artifacts")
    artifact = store.put(models / "tiny", "dpo")
    store.put_bytes(b"{}", "data")
    on = shelf(models)
    assert [model.name for model in on.available()] == ["tiny", artifact.uri]
    assert take(on, artifact.uri)[0].sha256 == artifact.sha256


@pytest.mark.parametrize("reference", ["nope", "org/nope@v1", "artifact:nope"])
def test_an_unknown_model_is_a_problem_that_names_those_there_are(models: Path, reference: str) -> None:
    with pytest.raises(ProblemError, match="tiny") as problem:
        take(shelf(models), reference)
    assert (problem.value.status, problem.value.kind) == (422, "unknown-model")


def spoil_truncated(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def spoil_pickle(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def spoil_lacking(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights.pop("model.layers.1.mlp.up_proj.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def spoil_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 48}))


def spoil_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text("raise SystemExit('remote code was run')")


def spoil_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def spoil_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_truncated,
        spoil_pickle,
        spoil_lacking,
        spoil_shape,
        spoil_code,
        spoil_json,
        spoil_tokenizer,
    ],
)
def test_a_broken_folder_is_a_problem(models: Path, spoil: object) -> None:
    assert callable(spoil)
    spoil(models / "tiny")
    with pytest.raises(ProblemError) as problem:
        take(shelf(models), "tiny")
    print(problem.value.detail)
    assert (problem.value.status, problem.value.kind) == (422, "unusable-model")
