"""LoRA adapters over a base that is found by its reference."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from plumbline_contracts.generator import GenerationRequest
from plumbline_contracts.weights import ADAPTER_BASE, AdapterBase
from plumbline_generator.folders import ModelFolders
from plumbline_generator.local import LocalGenerator
from plumbline_generator.memory import Need
from plumbline_generator.settings import Settings
from plumbline_kit.errors import ProblemError
from plumbline_kit.folder_store import FolderStore
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


@pytest.fixture
def models(tiny_model: Path, tmp_path: Path) -> Path:
    """A base `tiny`; an adapter `tuned` over it, as peft saves it; and `whole`, both in one as peft merges them."""
    models = tmp_path / "models"
    shutil.copytree(tiny_model, models / "tiny")
    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM")
    adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(models / "tiny"), config)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                weight.normal_(std=0.3)
    adapted.save_pretrained(str(models / "tuned"))
    rename_base(models, "tiny")
    shutil.copytree(tiny_model, models / "whole")
    adapted.merge_and_unload().save_pretrained(models / "whole")
    return models


def rename_base(models: Path, name: str | None, **more: Any) -> None:
    file = models / "tuned" / CONFIG
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": name} | more))


def generator(models: Path, dtype: str = "float32") -> LocalGenerator:
    folders = ModelFolders(models, FolderStore(models.parent / "artifacts"), download=False)
    return LocalGenerator.load(Settings(dtype=dtype, kv_cache_mb=1), folders)


def texts(of: LocalGenerator, request: GenerationRequest) -> list[str]:
    return [one.raw_text for one in asyncio.run(of.generate(request)).generations]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_adapter_writes_what_the_merged_model_writes(
    models: Path, ask: Callable[..., GenerationRequest], dtype: str
) -> None:
    of = generator(models, dtype)
    prompts = ("a", "Bc", "d e f")
    by_adapter, by_whole, by_base = (
        texts(of, ask(*prompts, model=name, prefix="One and two. ")) for name in ("tuned", "whole", "tiny")
    )
    assert by_adapter == by_whole != by_base
    loaded = [place.loading.result() for place in of._shelf._places.values()]
    assert all(model.batch is not None for model in loaded), "an adapter shares prefixes as any model"


def test_it_is_listed_with_its_base_and_known_by_both_digests(
    models: Path, ask: Callable[..., GenerationRequest]
) -> None:
    of = generator(models)
    listed = {model.name: model for model in asyncio.run(of.models()).models}
    assert {name: model.base for name, model in listed.items()} == {"tiny": None, "tuned": "tiny", "whole": None}
    assert (listed["tuned"].weights_sha256, listed["tuned"].context_length) == (None, 256)
    before = asyncio.run(of.identity("tuned")).weights_sha256
    assert asyncio.run(of.generate(ask("a", model="tuned"))).weights_sha256 == before
    listed = {model.name: model for model in asyncio.run(of.models()).models}
    assert (listed["tuned"].weights_sha256, listed["tuned"].loaded) == (before, True)
    (models / "tiny" / "note.txt").write_text("the base is another one now")
    assert asyncio.run(of.identity("tuned")).weights_sha256 != before


def test_an_artifact_goes_over_an_artifact_of_the_digest_that_it_was_trained_over(
    models: Path, ask: Callable[..., GenerationRequest]
) -> None:
    store = FolderStore(models.parent / "artifacts")
    base = store.put(models / "tiny", "base")
    rename_base(models, base.uri)
    note = models / "tuned" / ADAPTER_BASE
    note.write_text(AdapterBase(model=base.uri, sha256=base.sha256).model_dump_json())
    adapter = store.put(models / "tuned", "adapter")
    of = generator(models)
    assert texts(of, ask("a", model=adapter.uri)) == texts(of, ask("a", model="whole"))

    note.write_text(AdapterBase(model=base.uri, sha256="0" * 64).model_dump_json())
    for use in (of.identity("tuned"), of.generate(ask("a", model="tuned"))):
        with pytest.raises(ProblemError, match=f"{base.sha256}, expected {'0' * 64}") as problem:
            asyncio.run(use)
        assert (problem.value.status, problem.value.kind) == (422, "digest-mismatch")


def test_the_base_is_that_of_a_revision_where_one_is_named(models: Path) -> None:
    (models / "tiny").rename(models / "tiny@v1")
    rename_base(models, "tiny", revision="v1")
    found = ModelFolders(models, FolderStore(models / "none"), download=False).find("tuned")
    assert (found.path, found.main) == (models / "tuned", models / "tiny@v1")


def test_what_it_takes_is_reckoned_with_its_base(models: Path) -> None:
    whole = Need.of(models / "tiny", "bfloat16", 1, 1)
    adapter = sum(weight.nbytes for weight in load_file(models / "tuned" / WEIGHTS).values())
    need = Need.of(models / "tiny", "bfloat16", 1, 1, adapter=models / "tuned")
    assert (need.bytes, need.loading) == (whole.bytes, whole.weights + adapter)  # merged in float32


def over_nothing(models: Path) -> None:
    rename_base(models, "org/elsewhere")


def over_a_path(models: Path) -> None:
    rename_base(models, "/home/me/tiny")


def over_none(models: Path) -> None:
    rename_base(models, None)


def over_an_adapter(models: Path) -> None:
    shutil.copytree(models / "tuned", models / "below")
    rename_base(models, "below")


def over_fewer_layers(models: Path) -> None:
    edit(models / "tiny" / "config.json", num_hidden_layers=1)
    weights = load_file(models / "tiny" / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if ".layers.1." not in name}
    save_file(kept, models / "tiny" / "model.safetensors", metadata={"format": "pt"})


def of_another_rank(models: Path) -> None:
    edit(models / "tuned" / CONFIG, r=8)


def of_other_targets(models: Path) -> None:
    edit(models / "tuned" / CONFIG, target_modules=["q_proj", "v_proj", "down_proj", "o_proj"])


def of_another_architecture(models: Path) -> None:
    edit(models / "tuned" / CONFIG, target_modules=["c_attn"])


def of_another_kind(models: Path) -> None:
    edit(models / "tuned" / CONFIG, peft_type="IA3", feedforward_modules=[])


def in_a_pickle(models: Path) -> None:
    torch.save(load_file(models / "tuned" / WEIGHTS), models / "tuned" / "adapter_model.bin")
    (models / "tuned" / WEIGHTS).unlink()


def edit(file: Path, **told: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | told))


@pytest.mark.parametrize(
    "spoil, kind, told",
    [
        (
            over_nothing,
            "unknown-model",
            "adapter over 'org/elsewhere', which is not here.*tiny.*base_model_name_or_path",
        ),
        (over_a_path, "unknown-model", "adapter over '/home/me/tiny', which is not here"),
        (over_none, "unusable-model", "names no base_model_name_or_path"),
        (over_an_adapter, "unusable-model", "adapter over 'below', which is one itself"),
        (over_fewer_layers, "unusable-model", r"LlamaForCausalLM, 1 layers.*beside what it can take.*layers\.1"),
        (of_another_rank, "unusable-model", "does not fit its base.*size mismatch"),
        (of_other_targets, "unusable-model", r"does not fit its base.*lacks .*o_proj"),
        (of_another_architecture, "unusable-model", "Target modules .*c_attn.* not found"),
        (of_another_kind, "unusable-model", "IA3 adapter; only LORA"),
        (in_a_pickle, "unusable-model", "pickles are not read"),
    ],
)
def test_what_does_not_go_together_is_a_problem_that_says_why(
    models: Path, ask: Callable[..., GenerationRequest], spoil: Callable[[Path], None], kind: str, told: str
) -> None:
    spoil(models)
    with pytest.raises(ProblemError, match=told) as problem:
        asyncio.run(generator(models).generate(ask("a", model="tuned")))
    assert (problem.value.status, problem.value.kind) == (422, kind)


def test_peft_reads_back_what_is_compared_here(models: Path) -> None:
    """The fixture's own claim: `whole` is what peft makes of base and adapter."""
    base = AutoModelForCausalLM.from_pretrained(models / "tiny")
    merged = PeftModel.from_pretrained(base, models / "tuned").merge_and_unload().state_dict()
    assert all(merged[name].equal(weight) for name, weight in load_file(models / "whole/model.safetensors").items())
