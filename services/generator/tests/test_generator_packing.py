"""Layers in other forms compute what they computed, and where they would not, they stay as they are."""

import ast
import inspect
from importlib import import_module
from textwrap import dedent
from typing import Any

import pytest
import torch
from plumbline_generator import layers, products
from plumbline_generator.forward import SharedForward
from plumbline_generator.layers import Layer
from plumbline_generator.packing import Packing
from plumbline_generator.passes import Tails
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM

SMALL: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "vocab_size": 100} | {
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "sliding_window": None,
    "initializer_range": 0.3,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
}
FITTING = ["llama", "mistral", "qwen2", "gemma"]


def model_of(kind: str, dtype: torch.dtype = torch.float32, **settings: Any) -> Any:
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **SMALL | settings)
    model = AutoModelForCausalLM.from_config(config).to(dtype).eval()
    for name, parameter in model.named_parameters():  # what is all zeros or ones would hide what is left out
        if name.endswith("bias") or "norm" in name:
            nn.init.normal_(parameter, 1, 0.3)
    return model


def whole_layers(model: nn.Module) -> int:
    return sum(isinstance(module, Layer) for module in model.modules())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", FITTING)
def test_layers_of_llamas_form_are_packed_whole(kind: str, dtype: torch.dtype) -> None:
    model = model_of(kind, dtype)
    expected = model(torch.tensor([[3, 5, 7, 9, 11]])).logits[0, -1].float()
    forward = SharedForward.of(model, rows=4)
    assert forward is not None and whole_layers(model) == 2
    _, logits = forward.extended(forward.prefix([3, 5]), [7, 9, 11])
    near = 1e-4 if dtype == torch.float32 else 0.1 * expected.std().item()
    torch.testing.assert_close(logits[-1].float(), expected, atol=near, rtol=0)


YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 64}


@pytest.mark.parametrize(
    "settings", [{"attention_bias": True}, {"mlp_bias": True}, {"head_dim": 16}, {"rope_parameters": YARN}]
)
def test_their_biases_widths_and_positions_are_kept(settings: dict[str, Any]) -> None:
    model = model_of("llama", **settings)
    expected = model(torch.tensor([[3, 5, 7, 9, 11]])).logits[0, -1]
    forward = SharedForward.of(model, rows=4)
    assert forward is not None and whole_layers(model) == 2
    torch.testing.assert_close(forward.extended(forward.prefix([3, 5]), [7, 9, 11])[1][-1], expected)


def test_a_pass_that_only_stores_ends_with_the_last_keys() -> None:
    """What comes behind them, norm and logits included, is for steps."""
    model, text = model_of("llama"), [3, 5, 7, 9, 11, 13]
    expected = model(torch.tensor([text])).logits[0, -1]
    forward = SharedForward.of(model, rows=4)
    assert forward is not None
    calls: list[str] = []
    last: Any = model.model.layers[-1]
    outer = last._outer
    last._outer = lambda seen: calls.append("outer") or outer(seen)
    model.model.norm.register_forward_hook(lambda *_: calls.append("norm"))
    tails, prefix = Tails(forward.shape, forward.device), forward.prefix(text[:2])
    tails.reserve(1, 8)
    forward.enter(tails, 0, [(prefix, text[2:-1])])
    assert not calls
    torch.testing.assert_close(forward.advance(tails, [prefix], [3], text[-1:])[0], expected)
    assert calls == ["outer", "norm"]


def code_of(folder: str, kind: str) -> list[str]:
    """What a decoder layer and its parts run, but for names, and the window, which other models have."""
    found = import_module(f"transformers.models.{folder}.modeling_{folder}")
    forwards = [getattr(found, kind + part).forward for part in ("DecoderLayer", "Attention", "MLP")]
    dumps = []
    for function in (*forwards, found.apply_rotary_pos_emb, found.rotate_half):
        tree = ast.parse(dedent(inspect.getsource(function)).replace(kind, "Llama"))
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            call.keywords = [keyword for keyword in call.keywords if keyword.arg != "sliding_window"]
        assert isinstance(tree.body[0], ast.FunctionDef)
        dumps += [ast.dump(statement) for statement in tree.body[0].body]
    return dumps


def test_layers_that_are_taken_for_llamas_run_its_code() -> None:
    """In the transformers that is installed."""
    expected, *others = (code_of(*one) for one in layers._LLAMAS.items())
    assert len(others) == 3 and all(other == expected for other in others)
    assert code_of("ministral3", "Ministral3") != expected


# The same as Llama's up to some size of what is computed, or up to some place, beyond what a trial meets.
CLIPPED = {"clip_qkv": 30.0}
SCALED = {
    "rope_type": "default",
    "rope_theta": 1e4,
    "llama_4_scaling_beta": 0.5,
    "original_max_position_embeddings": 26,
}


@pytest.mark.parametrize(("kind", "settings"), [("olmo", CLIPPED), ("ministral3", {"rope_parameters": SCALED})])
def test_layers_that_only_seem_to_be_of_the_form_are_not(kind: str, settings: dict[str, Any]) -> None:
    model, text = model_of(kind, **settings), [3 + 7 * place % 90 for place in range(40)]
    expected = model(torch.tensor([text])).logits[0, -1]
    forward = SharedForward.of(model, rows=4)
    assert forward is not None and not whole_layers(model)
    torch.testing.assert_close(forward.extended(forward.prefix(text[:8]), text[8:])[1][-1], expected)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("granite", {"residual_multiplier": 0.5}), ("olmo2", {}), ("qwen3", {}), ("smollm3", {"no_rope_layers": [1, 0]})],
)
def test_layers_of_another_form_are_not(kind: str, settings: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """By what they consist of, or by what they compute; they are packed by their parts, then."""
    caplog.set_level("WARNING")
    model = model_of(kind, **settings)
    expected = model(torch.tensor([[3, 5, 7, 9, 11]])).logits[0, -1]
    forward = SharedForward.of(model, rows=4)
    assert forward is not None and not whole_layers(model) and not caplog.records
    assert not any(type(module) is nn.Linear for module in model.modules())
    torch.testing.assert_close(forward.extended(forward.prefix([3, 5]), [7, 9, 11])[1][-1], expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_what_is_joined_is_stored_once_and_can_be_taken_back(dtype: torch.dtype) -> None:
    """What is packed is copied by that; until a trial has agreed, the weights stay where they are, as in a file."""
    model = model_of("qwen2", dtype)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    projections = model.model.layers[0].self_attn
    stood = projections.q_proj.weight.data_ptr()
    packing = Packing(model, rows=4)
    assert whole_layers(model) == 2
    packing.undo()
    assert whole_layers(model) == 0 and projections is model.model.layers[0].self_attn
    query, key = projections.q_proj.weight, projections.k_proj.weight
    assert (query.untyped_storage().data_ptr() == key.untyped_storage().data_ptr()) is (dtype == torch.float16)
    assert (query.data_ptr() == stood) is (dtype != torch.float16)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_weights_packed_by_mkl_are_multiplied_with_any_number_of_rows() -> None:
    if not products.mkl_takes_any_rows():
        pytest.skip("torch has no MKL here")
    layer = nn.Linear(77, 130)
    packed = products.packed(layer, rows=64)
    assert isinstance(packed, products.PackedByMkl)
    for rows in (1, 3, 64, 65, 700):
        inputs = torch.randn(rows, 1, 77)
        torch.testing.assert_close(packed(inputs), layer(inputs), atol=1e-5, rtol=1e-5)


def test_where_the_order_depends_on_the_rows_mkl_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(self: products.PackedByMkl, inputs: Tensor) -> Tensor:
        return forward(self, inputs) * (1 if inputs.shape[0] < 64 else 2)

    forward = products.PackedByMkl.forward
    monkeypatch.setattr(products.PackedByMkl, "forward", wrong)
    products.mkl_takes_any_rows.cache_clear()
    try:
        assert isinstance(products.packed(nn.Linear(8, 8), rows=4), products.PackedByOneDnn)
    finally:
        products.mkl_takes_any_rows.cache_clear()


def test_a_norm_in_fewer_operations_is_the_same() -> None:
    norm = model_of("llama").model.norm
    short = layers.short_norm(norm)
    assert isinstance(short, layers.Norm)
    for size in (1e-6, 1.0, 1e6):
        inputs = size * torch.randn(5, 2, 32)
        torch.testing.assert_close(short(inputs), norm(inputs), rtol=1e-5, atol=1e-6)
