"""Texts that become loops are ended, those of the audit are not, and both are told where it began."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from plumbline_contracts.generator import Generation, GenerationRequest, sha256_of
from plumbline_contracts.periodicity import LoopRule, loop_of
from plumbline_generator.local import LocalGenerator
from plumbline_generator.loops import audited
from transformers import AutoModelForCausalLM

from .test_generator_batch import engine

Ask = Callable[..., GenerationRequest]
TEXTS = [f"{word}: " for word in ("Name", "What", "is", "it", "a dog", "the cat", "Query", "seven")]
RULE = {"min_repeats": 4, "min_characters": 60}


@pytest.fixture(scope="module")
def generator(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> LocalGenerator:
    """A model that sees only the last token, so that each of its texts is a loop sooner or later."""
    folder = shutil.copytree(tiny_model, tmp_path_factory.mktemp("models") / "tiny")
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
    model.save_pretrained(folder)
    return engine(folder.parent)


def run(generator: LocalGenerator, request: GenerationRequest) -> list[Generation]:
    return asyncio.run(generator.generate(request)).generations


def test_a_text_ends_where_it_is_a_loop_by_the_one_definition(generator: LocalGenerator, ask: Ask) -> None:
    free = run(generator, ask(*TEXTS, max_new_tokens=220))
    stopped = run(generator, ask(*TEXTS, max_new_tokens=220, stop_loops=RULE | {"audit_share": 0}))
    loops = [one for one in stopped if one.finish_reason == "loop"]
    assert loops
    for whole, one in zip(free, stopped, strict=True):
        assert whole.raw_text.startswith(one.raw_text)
        assert (one.finish_reason == "loop") == (one.loop is not None)
        assert one == whole or one.finish_reason == "loop"
    for one in loops:
        assert one.loop is not None
        found = loop_of(one.raw_text, LoopRule(RULE["min_repeats"], RULE["min_characters"]))
        assert found is not None
        assert (one.loop.period, one.loop.onset) == (found.period, len(one.raw_text) - found.covered)
        assert one.loop.met_at == len(one.raw_text)
        assert one.loop.tokens_saved == 220 - one.completion_tokens > 0


def test_an_audited_text_runs_on_and_is_told_to_be_a_loop(generator: LocalGenerator, ask: Ask) -> None:
    free = run(generator, ask(*TEXTS, max_new_tokens=220))
    ended = run(generator, ask(*TEXTS, max_new_tokens=220, stop_loops=RULE | {"audit_share": 0}))
    audit = run(generator, ask(*TEXTS, max_new_tokens=220, stop_loops=RULE | {"audit_share": 1}))
    assert [one.raw_text for one in audit] == [one.raw_text for one in free]
    assert all(one.audited and one.finish_reason == "length" for one in audit)
    for one, early in zip(audit, ended, strict=True):
        assert one.loop == (early.loop and early.loop.model_copy(update={"tokens_saved": 0}))


def test_the_audit_is_chosen_by_the_digests_of_the_texts_and_about_its_share() -> None:
    digests = [sha256_of(f"prompt {number}") for number in range(4000)]
    chosen = [audited(digest, 0.05) for digest in digests]
    assert 140 < sum(chosen) < 260
    assert not audited(digests[0], 0) and all(audited(digest, 1) for digest in digests)
