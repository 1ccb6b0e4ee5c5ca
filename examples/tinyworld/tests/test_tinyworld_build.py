"""A build with a few training steps, from the command to the files that others read."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tinyworld import build as building
from tinyworld import manifest
from tinyworld.__main__ import main
from tinyworld.argos import package_name
from tinyworld.build import NotOursError, build, cached
from tinyworld.parameters import Parameters
from tinyworld.prompts import urial_prefix

FEW = Parameters(base_steps=4, translator_steps=3, sft_rows=30, preference_rows=12, rejected_tokens=8)
ARGUMENTS = ["--steps", "4", "--translator-steps", "3"]


def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command sets the steps; the numbers of rows are not among its options."""
    monkeypatch.setattr("tinyworld.__main__.Parameters", lambda **steps: replace(FEW, **steps))


def ignore(part: str, done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    out = tmp_path_factory.mktemp("tinyworld") / "world"
    with pytest.MonkeyPatch.context() as patch:
        few_rows(patch)
        assert main(["--out", str(out), *ARGUMENTS]) == 0
    yield out


def test_manifest_names_every_file(world: Path) -> None:
    found = manifest.read(world)
    assert found and manifest.is_whole(world, found)
    assert found["seconds"].keys() == {"base", "en-fr", "en-es", "all"}
    assert found["parameters"]["base_steps"] == 4
    assert len(found["files"]) == sum(path.is_file() for path in world.rglob("*")) - 1


def test_no_file_names_the_machine(world: Path) -> None:
    for path in (path for path in world.rglob("*") if path.is_file()):
        assert str(world.parent).encode() not in path.read_bytes(), path


def test_same_seed_builds_the_same_bytes(world: Path, tmp_path: Path) -> None:
    again = build(tmp_path / "again", 0, FEW, ignore)
    first = manifest.read(world)
    assert first and again["files"] == first["files"]


def test_finished_build_is_not_built_again(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few_rows(monkeypatch)
    monkeypatch.setattr("tinyworld.__main__.build", None)
    assert main(["--out", str(world), *ARGUMENTS]) == 0


def test_other_inputs_or_a_missing_file_are_no_finished_build(world: Path, tmp_path: Path) -> None:
    assert cached(world, 0, FEW)
    assert not cached(world, 1, FEW)
    assert not cached(world, 0, Parameters())
    assert not cached(tmp_path / "nowhere", 0, FEW)
    prompt = world / "prompts" / "urial.en.txt"
    text = prompt.read_bytes()
    prompt.unlink()
    assert not cached(world, 0, FEW)
    prompt.write_bytes(text)


def test_failed_build_leaves_the_old_one_and_nothing_else(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("stopped")

    monkeypatch.setattr(building, "train_all", fail)
    with pytest.raises(RuntimeError, match="stopped"):
        build(world, 5, FEW, ignore)
    assert cached(world, 0, FEW)
    assert [path.name for path in world.parent.iterdir()] == [world.name]


def test_foreign_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(NotOursError):
        build(tmp_path, 0, FEW, ignore)
    assert main(["--out", str(tmp_path), "--force"]) == 1
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_model_loads_and_its_tokenizer_begins_documents(world: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = world / "models" / "tinyworld-base"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    text = urial_prefix("fr")
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == tokenizer.bos_token_id and tokenizer.decode(ids, skip_special_tokens=True) == text
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert "A toy" in (folder / "README.md").read_text()


@pytest.mark.parametrize("language", ["fr", "es"])
def test_package_loads_and_archive_is_the_package(world: Path, language: str) -> None:
    import ctranslate2
    from sentencepiece import SentencePieceProcessor

    name = package_name(language)
    package = world / "argos" / "packages" / name
    pieces = SentencePieceProcessor(model_file=str(package / "sentencepiece.model"))
    translator = ctranslate2.Translator(str(package / "model"), inter_threads=1, intra_threads=1)
    result = translator.translate_batch([pieces.encode("Where is the dog?", out_type=str)], max_decoding_length=8)
    assert isinstance(pieces.decode(result[0].hypotheses[0]), str)
    with zipfile.ZipFile(world / "argos" / "archives" / f"{name}.argosmodel") as archive:
        assert json.loads(archive.read(f"{name}/metadata.json"))["to_code"] == language
        assert {info.filename for info in archive.infolist()} == {
            path.relative_to(package.parent).as_posix() for path in package.rglob("*") if path.is_file()
        }


def test_help_says_what_is_built() -> None:
    shown = subprocess.run([sys.executable, "-m", "tinyworld", "--help"], capture_output=True, text=True, check=True)
    assert "preferences.jsonl" in shown.stdout


def test_nothing_in_the_parent_imports_torch() -> None:
    code = "import sys, tinyworld.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
