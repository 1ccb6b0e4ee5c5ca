"""What a model's trial takes for rounding, and what for a fault."""

from typing import Any

import pytest
import torch
from plumbline_generator.forward import SharedForward
from plumbline_generator.passes import Prefix, Tails
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

DTYPES = ["float32", "bfloat16", "float16"]


def deep(dtype: str) -> Any:
    """So many layers that in bfloat16 single logits are a third of their spread away."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 24, "num_attention_heads": 4}
    config = LlamaConfig(**sizes, vocab_size=300, initializer_range=0.2, tie_word_embeddings=True)
    return LlamaForCausalLM(config).to(getattr(torch, dtype)).eval()


@pytest.mark.parametrize("dtype", DTYPES)
def test_rounding_of_a_deep_model_is_no_fault(dtype: str) -> None:
    assert SharedForward.of(deep(dtype)) is not None


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_place_too_far_is_one(dtype: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    advance = SharedForward.advance

    def shifted(
        self: SharedForward, tails: Tails, prefixes: list[Prefix], written: list[int], tokens: list[int]
    ) -> Tensor:
        return advance(self, tails, prefixes, [count + 1 for count in written], tokens)

    monkeypatch.setattr(SharedForward, "advance", shifted)
    caplog.set_level("INFO")
    assert SharedForward.of(deep(dtype)) is None
    assert "takes the plain path: its logits differ" in caplog.text
