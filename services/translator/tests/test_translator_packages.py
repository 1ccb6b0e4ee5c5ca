"""Real packages on CTranslate2, and the service that runs them."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from plumbline_contracts.translator import TranslationResponse
from plumbline_kit.artifacts import digest
from plumbline_kit.errors import ProblemError
from plumbline_translator.argos import ArgosTranslator
from plumbline_translator.packages import ArgosPackage, load
from plumbline_translator.sentences import split

Serve = Callable[..., httpx.Client]
LINES = ["name three animals. what is the dog?", "le chien", "what colour? what colour?", "zzz"]


def test_the_texts_are_those_of_argostranslate(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "ARGOS_PACKAGES_DIR"):
        monkeypatch.setenv(name, str(packages.parent / "argos-home"))
    ours = ArgosPackage(packages / "translate-en_fr-0_1", threads=2)
    from argostranslate.translate import apply_packaged_translation

    class Sentences:
        def split_sentences(self, text: str) -> list[str]:
            return split(text, "en")

    theirs = [
        apply_packaged_translation(ours._package, line, ours._model, Sentences(), num_hypotheses=1)[0].value
        for line in LINES
    ]
    assert ours.translate(LINES) == theirs


def test_loading_touches_no_home_folder(packages: Path, tmp_path: Path) -> None:
    code = "import pathlib, sys, plumbline_translator.packages as p; assert p.load(pathlib.Path(sys.argv[1]), 1)[0]"
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    subprocess.run([sys.executable, "-c", code, str(packages)], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_package_is_named_and_the_others_work(packages: Path, tmp_path: Path) -> None:
    root = tmp_path / "argos"
    shutil.copytree(packages, root)
    for name in ("a_no-model", "b_no-tokenizer", "c_json"):
        shutil.copytree(packages / "translate-en_fr-0_1", root / name)
    shutil.rmtree(root / "a_no-model" / "model")
    (root / "b_no-tokenizer" / "sentencepiece.model").write_bytes(b"broken")
    (root / "c_json" / "metadata.json").write_text("{")
    (root / "d_other-type").mkdir()
    (root / "d_other-type" / "metadata.json").write_text('{"type": "sbd"}')
    loaded, faults = load(root, threads=1)
    assert [package.name for package in loaded] == ["translate-en_fr 0.1"]
    assert [fault.split(" ")[0] for fault in faults] == ["a_no-model", "b_no-tokenizer", "c_json", "d_other-type"]
    shutil.rmtree(root / "translate-en_fr-0_1")
    with pytest.raises(ProblemError, match="c_json cannot be loaded"):
        asyncio.run(asyncio.run(ArgosTranslator.load(root, 1)).check())


def test_the_service_translates_and_tells_what_it_has(packages: Path, serve: Serve) -> None:
    client = serve(PACKAGES_DIR=packages)
    assert client.get("/readyz").is_success
    [pair] = client.get("/v1/languages").json()["pairs"]
    assert (pair["source"], pair["target"], pair["package"]) == ("en", "fr", "translate-en_fr 0.1")
    assert pair["revision"].startswith(f"sha256:{digest(packages / 'translate-en_fr-0_1')[0]} ")
    texts = [{"id": str(number), "text": line} for number, line in enumerate([*LINES, "- 42\n"])]
    answer = client.post("/v1/translations", json={"source": "en", "target": "fr", "texts": texts})
    translations = TranslationResponse.model_validate_json(answer.content).translations
    assert [item.id for item in translations] == [text["id"] for text in texts]
    assert translations[-1].text == "- 42\n"
    other = client.post("/v1/translations", json={"source": "en", "target": "es", "texts": texts})
    assert (other.status_code, other.json()["type"]) == (422, "urn:plumbline:problem:unknown-language-pair")


def test_without_packages_the_service_starts_and_is_not_ready(tmp_path: Path, serve: Serve) -> None:
    client = serve(PACKAGES_DIR=tmp_path / "none")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:plumbline:problem:no-packages")
    assert client.get("/info").json()["model"] == "none loaded"


def test_the_echo_service_needs_no_package(serve: Serve) -> None:
    client = serve(ENGINE="echo")
    assert client.get("/readyz").is_success
    texts = [{"id": "1", "text": "Name three animals."}]
    answer = client.post("/v1/translations", json={"source": "en", "target": "fr", "texts": texts}).json()
    assert answer["translations"][0]["flags"] == ["untranslated"]
