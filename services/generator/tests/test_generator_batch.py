"""The running batch: tokens are those of transformers' own `generate` one by one, whoever shares prefix and batch."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from plumbline_contracts.generator import Decoding, Generation, GenerationRequest
from plumbline_generator.local import LocalGenerator
from plumbline_generator.settings import Settings
from plumbline_generator.weights import LoadedModel
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PretrainedConfig,
)

Ask = Callable[..., GenerationRequest]
PREFIX = "Name three animals.\nThe dog, the cat and the lion.\n\n"
TEXTS = [
    "a",
    "What is it?\n",
    "é" * 9,
    "the quick brown fox " * 3,
    "zz",
    "What is that?\n",
    "",
    "Q" * 30,
]
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4} | {
    "max_position_embeddings": 256,
    "initializer_range": 0.5,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
}
SHARING = {
    "llama": {"num_key_value_heads": 2},
    "qwen2": {"num_key_value_heads": 2},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 16},
    "gemma": {"num_key_value_heads": 1, "head_dim": 16},
    "mistral": {"num_key_value_heads": 4, "sliding_window": None},
    "gpt_neox": {},
}
PLAIN = {
    "mistral": {"num_key_value_heads": 4, "sliding_window": 8},
    "mamba": {"state_size": 4},
    "gemma2": {"head_dim": 16},
}


def save(tiny_model: Path, folder: Path, kind: str, settings: dict[str, Any]) -> Path:
    """A random model of this architecture with the tiny model's tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config: PretrainedConfig = AutoConfig.for_model(kind, **(SMALL | settings), vocab_size=len(tokenizer))
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def engine(models: Path, **settings: object) -> LocalGenerator:
    shared = {"models_dir": models, "PLUMBLINE_ARTIFACTS_DIR": models / "none", "threads": 1}
    return LocalGenerator.load(Settings.model_validate(shared | settings))


def run(generator: LocalGenerator, request: GenerationRequest) -> list[Generation]:
    return asyncio.run(generator.generate(request)).generations


def loaded(generator: LocalGenerator, name: str) -> LoadedModel:
    return asyncio.run(generator._shelf.take(name))


def one_by_one(folder: Path, request: GenerationRequest) -> list[str]:
    """What plain transformers writes."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    greedy = GenerationConfig(max_new_tokens=request.decoding.max_new_tokens, do_sample=False)
    texts = []
    for prompt in request.prompts:
        ids = torch.tensor([tokenizer(request.prefix + str(prompt.text)).input_ids])
        written = model.generate(ids, generation_config=greedy)[0, ids.shape[1] :]
        texts.append(tokenizer.decode(written).replace("<pad>", ""))
    return texts


@pytest.mark.parametrize("kind", SHARING)
def test_texts_are_those_of_transformers_one_by_one(tiny_model: Path, ask: Ask, tmp_path: Path, kind: str) -> None:
    folder = save(tiny_model, tmp_path / kind, kind, SHARING[kind])
    generator = engine(tmp_path, batch_size=4)
    for prefix in (PREFIX, ""):
        texts = [text for text in TEXTS if text or prefix]
        request = ask(*texts, prefix=prefix, model=kind)
        assert [one.raw_text for one in run(generator, request)] == one_by_one(folder, request)
    assert loaded(generator, kind).batch is not None


@pytest.mark.parametrize("kind", PLAIN)
def test_other_architectures_take_the_plain_path(tiny_model: Path, ask: Ask, tmp_path: Path, kind: str) -> None:
    folder = save(tiny_model, tmp_path / kind, kind, PLAIN[kind])
    generator = engine(tmp_path, batch_size=1)
    request = ask(*TEXTS[:3], prefix=PREFIX, model=kind)
    assert [one.raw_text for one in run(generator, request)] == one_by_one(folder, request)
    assert loaded(generator, kind).batch is None


def test_what_prompts_share_is_computed_once(tiny_model: Path, ask: Ask) -> None:
    generator = engine(tiny_model.parent)
    first = run(generator, ask(*"abcde", prefix=PREFIX))
    assert [one.cached_prompt_tokens for one in first] == [0] + [len(PREFIX)] * 4
    again = run(generator, ask("another", prefix=PREFIX))
    assert again[0].cached_prompt_tokens == len(PREFIX)
    shorter = run(generator, ask("q", "r", prefix=PREFIX[:30]))
    assert [one.cached_prompt_tokens for one in shorter] == [30, 30]


def test_of_equal_prompts_only_the_last_token_is_computed_for_each(tiny_model: Path, ask: Ask) -> None:
    generator, request = engine(tiny_model.parent), ask("a", "a", "a", "zz", prefix=PREFIX)
    first, *others = run(generator, ask("a", "a", "a", prefix=PREFIX))
    assert [first.cached_prompt_tokens, *(one.cached_prompt_tokens for one in others)] == [0] + [len(PREFIX)] * 2
    assert [one.raw_text for one in run(generator, request)] == one_by_one(tiny_model, request)
    [alone] = run(generator, ask("Q", max_new_tokens=5))  # a prompt of one token has nothing else
    assert [alone.raw_text] == one_by_one(tiny_model, ask("Q", max_new_tokens=5))


def test_a_prefix_ends_where_tokens_do(tiny_model: Path, ask: Ask, tmp_path: Path) -> None:
    """A text may change the last tokens of its prefix; then they are computed with the text."""
    folder = shutil.copytree(tiny_model, tmp_path / "tiny")
    definition = json.loads((folder / "tokenizer.json").read_text())
    definition["model"]["merges"] = [["t", "h"]]
    definition["model"]["vocab"]["th"] = definition["model"]["vocab"].pop("\u0100")
    (folder / "tokenizer.json").write_text(json.dumps(definition))
    generator = engine(tmp_path)
    request = ask("hat", "hy", "ho", prefix=PREFIX + "t")
    found = run(generator, request)
    assert [one.raw_text for one in found] == one_by_one(folder, request)
    assert [one.cached_prompt_tokens for one in found] == [0] + [
        len(AutoTokenizer.from_pretrained(folder)(PREFIX).input_ids)
    ] * 2


def test_requests_of_one_prompt_find_what_the_last_ones_had_in_common(tiny_model: Path, ask: Ask) -> None:
    generator = engine(tiny_model.parent)
    cached = [run(generator, ask(PREFIX + text))[0].cached_prompt_tokens for text in ("one", "two", "six")]
    assert cached == [0, 0, len(PREFIX)]


def test_requests_of_different_prefixes_run_in_one_batch(tiny_model: Path, ask: Ask) -> None:
    requests = [ask(*TEXTS[:4], prefix=prefix) for prefix in (PREFIX, "", "Query: " * 5)]
    requests[1] = ask(*TEXTS[:4], temperature=1.0, repetition_penalty=1.2)
    alone = [run(engine(tiny_model.parent), request) for request in requests]
    generator = engine(tiny_model.parent)
    sizes: list[int] = []
    batch = loaded(generator, "tiny").batch
    assert batch is not None
    advance = batch._advance
    batch._advance = lambda: (sizes.append(len(batch._rows)), advance())[1]  # type: ignore[method-assign]

    async def together() -> list[list[Generation]]:
        answers = await asyncio.gather(*map(generator.generate, requests))
        return [answer.generations for answer in answers]

    assert asyncio.run(together()) == alone
    assert max(sizes) == 12


def test_rows_come_in_where_others_leave(tiny_model: Path, ask: Ask) -> None:
    """Texts of many lengths, two rows at a time and little room: the order of the results is that of the lengths."""
    generator = engine(tiny_model.parent, batch_size=2, kv_cache_mb=1)
    free = run(generator, ask(*TEXTS[:6], max_new_tokens=60))
    stop = ["e", "x", "7"]
    expected = [one.raw_text for one in run(engine(tiny_model.parent, batch_size=1), ask(*TEXTS[:6], stop=stop))]
    assert [one.raw_text for one in run(generator, ask(*TEXTS[:6], stop=stop))] == expected
    assert len({len(text) for text in expected}) > 2 and len(free) == 6


async def collected(generator: LocalGenerator, request: GenerationRequest) -> list[Generation]:
    return [one async for one in generator.stream(request) if isinstance(one, Generation)]


def test_results_come_as_they_finish(tiny_model: Path, ask: Ask) -> None:
    request = ask("a", *TEXTS[:3], max_new_tokens=200)
    prompts = [prompt.model_copy(update={"text": prompt.text + "\n"}) for prompt in request.prompts]
    first = ask("a", max_new_tokens=200)
    stop = run(engine(tiny_model.parent), first)[0].raw_text[3:6]
    found = asyncio.run(
        collected(
            engine(tiny_model.parent),
            request.model_copy(update={"prompts": prompts, "decoding": Decoding(max_new_tokens=200, stop=[stop])}),
        )
    )
    lengths = [one.completion_tokens for one in found]
    assert lengths == sorted(lengths)


def test_who_leaves_a_stream_ends_its_rows_and_no_others(tiny_model: Path, ask: Ask) -> None:
    generator = engine(tiny_model.parent, batch_size=4)
    batch = loaded(generator, "tiny").batch
    assert batch is not None

    async def leave() -> list[Generation]:
        stream = generator.stream(ask(*["a"] * 200, max_new_tokens=200))
        await anext(stream)
        other = asyncio.create_task(collected(generator, ask("Name", max_new_tokens=30)))
        await stream.aclose()
        return await other

    [other] = asyncio.run(leave())
    assert [other] == run(generator, ask("Name", max_new_tokens=30))
    assert not batch._waiting and not batch._rows


def test_a_deadline_ends_what_is_not_finished(tiny_model: Path, ask: Ask) -> None:
    request = ask(*["a"] * 50, max_new_tokens=200).model_copy(update={"deadline_seconds": 1e-3})
    found = run(engine(tiny_model.parent, batch_size=2), request)
    assert {one.finish_reason for one in found} == {"cancelled"} and len(found) == 50
