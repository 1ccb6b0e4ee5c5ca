"""Log-probabilities are transformers' own log-softmax, of what was written and of the prompt, on both paths."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from plumbline_contracts.generator import Generation, GenerationRequest, TokenLogprob
from plumbline_generator.forward import SharedForward
from transformers import AutoModelForCausalLM, AutoTokenizer

from .test_generator_batch import PREFIX, engine, loaded

Ask = Callable[..., GenerationRequest]


def run(folder: Path, request: GenerationRequest, *, plain: bool) -> list[Generation]:
    generator = engine(folder.parent)
    with pytest.MonkeyPatch.context() as patch:
        if plain:
            patch.setattr(SharedForward, "of", lambda model, rows: None)
        assert (loaded(generator, "tiny").batch is None) is plain
    return asyncio.run(generator.generate(request)).generations


def check(tokenizer: Any, logarithms: torch.Tensor, tokens: list[int], found: list[TokenLogprob]) -> None:
    assert [one.token for one in found] == [tokenizer.decode([token]) for token in tokens]
    for row, token, one in zip(logarithms, tokens, found, strict=True):
        assert one.logprob == pytest.approx(float(row[token]), abs=1e-3)
        best = row.topk(3)
        assert [other.token for other in one.alternatives] == [tokenizer.decode([id]) for id in best.indices]
        assert [other.logprob for other in one.alternatives] == pytest.approx(best.values.tolist(), abs=1e-3)


@pytest.mark.parametrize("plain", [False, True])
def test_they_are_those_of_the_model(tiny_model: Path, ask: Ask, plain: bool) -> None:
    request = ask("What is it?", "Name", prefix=PREFIX, temperature=2.0, top_k=1, repetition_penalty=1.3).model_copy(
        update={"logprobs": 3, "prompt_logprobs": True}
    )
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_model)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    for prompt, one in zip(request.prompts, run(tiny_model, request, plain=plain), strict=True):
        before, written = (tokenizer(text).input_ids for text in (PREFIX + str(prompt.text), one.raw_text))
        with torch.inference_mode():
            logarithms = model(torch.tensor([before + written])).logits[0].log_softmax(-1)
        assert one.logprobs is not None and one.prompt_logprobs is not None
        check(tokenizer, logarithms[len(before) - 1 : -1], written, one.logprobs)
        first, *further = one.prompt_logprobs
        assert (first.token, first.logprob, first.alternatives) == (tokenizer.decode(before[:1]), None, [])
        check(tokenizer, logarithms[: len(before) - 1], before[1:], further)
        assert one.cached_prompt_tokens in (0, None)


def test_none_are_told_unless_asked_for(tiny_model: Path, ask: Ask) -> None:
    [one] = run(tiny_model, ask("Name"), plain=False)
    assert one.logprobs is None and one.prompt_logprobs is None
    [one] = run(tiny_model, ask("Name").model_copy(update={"logprobs": 0}), plain=False)
    assert one.logprobs is not None and len(one.logprobs) == 24 and one.logprobs[0].alternatives == []
