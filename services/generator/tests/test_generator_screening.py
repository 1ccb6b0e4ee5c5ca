"""The likeliest token, found by a product in bfloat16 and a look at few, is that of the whole product."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from plumbline_contracts.generator import GenerationRequest
from plumbline_generator import screening
from plumbline_generator.screening import Screening
from torch import Tensor

from .test_generator_batch import PREFIX, TEXTS, engine, loaded, one_by_one, run, save

Ask = Callable[..., GenerationRequest]
pytestmark = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="oneDNN multiplies no bfloat16 on this processor"
)


def likeliest(weight: Tensor, hidden: Tensor) -> tuple[list[int] | None, list[int]]:
    with torch.inference_mode():
        found = Screening(weight, rows=len(hidden)).likeliest(hidden)
    return found, (hidden.double() @ weight.double().T).max(-1).indices.tolist()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 2**32), st.integers(1, 300), st.integers(1, 96), st.floats(1e-3, 1e3), st.floats(0, 0.01))
def test_it_is_the_likeliest_of_all(seed: int, vocabulary: int, width: int, size: float, apart: float) -> None:
    """Also where tokens are nearly the same, some long and some short, and all logits below zero."""
    draw = torch.Generator().manual_seed(seed)
    weight = torch.randn(vocabulary, width, generator=draw) * size
    weight *= torch.rand(vocabulary, 1, generator=draw)
    twin = weight[torch.randint(vocabulary, (vocabulary // 2,), generator=draw)]
    weight[: len(twin)] = twin * (1 + apart * torch.randn(len(twin), 1, generator=draw))
    hidden = torch.randn(4, width, generator=draw) - weight[:1] / size
    found, expected = likeliest(weight, hidden)
    if found is not None:
        exact = hidden.double() @ weight.double().T
        best = exact.gather(1, torch.tensor([found, expected]).T)
        rounding = 1e-6 * hidden.double().abs() @ weight.double().abs().T
        assert bool((best[:, 0] >= best[:, 1] - rounding.amax(-1)).all())


def test_few_are_looked_at_where_logits_are_apart_and_all_where_they_are_not() -> None:
    draw = torch.Generator().manual_seed(0)
    weight, hidden = torch.randn(32_001, 64, generator=draw), torch.randn(64, 64, generator=draw)
    found, expected = likeliest(weight, hidden)
    assert found == expected
    assert likeliest(weight, torch.zeros(64, 64))[0] is None


def test_logits_below_zero_are_screened_as_others() -> None:
    """Also where one row's are, and where only the highest comes near zero."""
    draw = torch.Generator().manual_seed(0)
    weight, hidden = torch.rand(2_000, 64, generator=draw), torch.rand(3, 64, generator=draw)
    weight[:, 0] += 30 * torch.rand(2_000, generator=draw)
    hidden[1:] *= -1
    hidden[2] += weight[5] / 1e5
    found, expected = likeliest(weight, hidden)
    assert found == expected
    assert likeliest(weight, hidden[1:])[0] == expected[1:] and likeliest(weight, hidden[:1])[0] == expected[:1]


def test_of_equal_tokens_it_is_the_first() -> None:
    weight = torch.randn(1000, 64, generator=torch.Generator().manual_seed(0))
    weight[[33, 40, 501, 999]] = 3 * weight[700]
    assert likeliest(weight, weight[[700]]) == ([33], [33])


def test_a_row_without_a_highest_logit_is_left_to_the_whole_product() -> None:
    for broken in (float("nan"), float("inf")):
        hidden = torch.ones(4, 64)
        hidden[2, 5] = broken
        assert Screening(torch.randn(256, 64), rows=4).likeliest(hidden) is None


@pytest.fixture
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """On any processor that can, a small model is screened, too."""
    if torch.cuda.is_available():
        pytest.skip("models are on the GPU, which needs no screening")
    monkeypatch.setattr(screening, "SCREENED_FROM", 1)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})


@pytest.mark.usefixtures("any_size")
def test_texts_stay_those_of_one_by_one(tiny_model: Path, ask: Ask, tmp_path: Path) -> None:
    folder = save(tiny_model, tmp_path / "tied", "llama", {"num_key_value_heads": 2, "tie_word_embeddings": True})
    generator, request = engine(tmp_path, batch_size=4), ask(*TEXTS, prefix=PREFIX, model="tied")
    forward: Any = loaded(generator, "tied").batch
    calls, likeliest = [], forward._forward._screening.likeliest
    forward._forward._screening.likeliest = lambda hidden: calls.append(len(hidden)) or likeliest(hidden)
    assert [one.raw_text for one in run(generator, request)] == one_by_one(folder, request)
    assert len(calls) > request.decoding.max_new_tokens
    calls.clear()
    noted = run(generator, request.model_copy(update={"logprobs": 1}))
    assert [one.raw_text for one in noted] == one_by_one(folder, request)
    assert all(one.logprobs for one in noted) and not calls


@pytest.mark.usefixtures("any_size")
def test_a_model_that_does_something_to_its_logits_is_not_screened(tiny_model: Path, ask: Ask, tmp_path: Path) -> None:
    own = {"num_key_value_heads": 2, "tie_word_embeddings": True}
    folder = save(tiny_model, tmp_path / "granite", "granite", own | {"logits_scaling": -2.0})
    assert json.loads((folder / "config.json").read_text())["logits_scaling"] == -2.0
    generator, request = engine(tmp_path, batch_size=4), ask(*TEXTS, prefix=PREFIX, model="granite")
    assert [one.raw_text for one in run(generator, request)] == one_by_one(folder, request)
    batch: Any = loaded(generator, "granite").batch
    assert batch is not None and batch._forward._screening is None
