"""The local engine on a trained model: greedy texts are those of transformers one by one, token for token."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from plumbline_contracts.generator import Decoding, Generation, GenerationRequest, Prompt
from plumbline_generator.local import LocalGenerator
from plumbline_generator.settings import Settings
from transformers import AutoModelForCausalLM, AutoTokenizer

MODEL = "tinyworld-base"
URIAL = "# Query:\n```\n{}\n```\n\n# Answer:\n```\n"


@pytest.fixture(scope="module")
def questions(tinyworld: Path) -> list[str]:
    files = [tinyworld / "data" / f"instructions{language}.jsonl" for language in ("", ".fr", ".es")]
    return [json.loads(line)["instruction"] for file in files for line in file.read_text().splitlines()[:40:10]]


def ours(models: Path, request: GenerationRequest) -> list[Generation]:
    settings = {"models_dir": models, "PLUMBLINE_ARTIFACTS_DIR": models / "none", "threads": 1, "batch_size": 10}
    generator = LocalGenerator.load(Settings.model_validate(settings))
    return asyncio.run(generator.generate(request)).generations


def one_by_one(folder: Path, prompts: list[str], new: int) -> list[str]:
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    texts = []
    for prompt in prompts:
        ids = torch.tensor([tokenizer(prompt).input_ids])
        written = model.generate(ids, max_new_tokens=new, do_sample=False)[0, ids.shape[1] :]
        texts.append(tokenizer.decode(written, skip_special_tokens=True))
    return texts


@pytest.mark.parametrize("language", ["en", "fr", None])
def test_tokens_are_those_of_transformers(tinyworld: Path, questions: list[str], language: str | None) -> None:
    prefix = (tinyworld / "prompts" / f"urial.{language}.txt").read_text() if language else ""
    texts = [URIAL.format(question) if language else f"{question}\n" for question in questions]
    prompts = [Prompt(id=str(number), text=text) for number, text in enumerate(texts)]
    request = GenerationRequest(model=MODEL, prefix=prefix, prompts=prompts, decoding=Decoding(max_new_tokens=64))
    found = ours(tinyworld / "models", request)
    assert [one.raw_text for one in found] == one_by_one(
        tinyworld / "models" / MODEL, [prefix + text for text in texts], 64
    )
    assert all(one.cached_prompt_tokens for one in found[1:]) == (language is not None)
