"""Norms and decoder layers that compute the same in fewer operations, each of which takes some time of its own."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .products import joined, packed

if TYPE_CHECKING:
    from .attention import Step

# The decoder layers whose code is Llama's: in transformers 5.23 all forward passes in these modules agree with its own.
_LLAMAS = {
    ("transformers.models.llama.modeling_llama", "LlamaDecoderLayer"),
    ("transformers.models.mistral.modeling_mistral", "MistralDecoderLayer"),
    ("transformers.models.qwen2.modeling_qwen2", "Qwen2DecoderLayer"),
    ("transformers.models.gemma.modeling_gemma", "GemmaDecoderLayer"),
}


class Norm(nn.Module):
    """x / sqrt(mean(x²) + ε) · weight of float32 numbers."""

    def __init__(self, weight: Tensor, epsilon: float) -> None:
        super().__init__()
        self._weight, self._epsilon = weight.detach(), weight.new_tensor([epsilon])

    def forward(self, inputs: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(inputs, dim=-1, keepdim=True)
        scale = torch.addcmul(self._epsilon, length, length, value=1 / inputs.shape[-1]).rsqrt_()
        return (inputs * scale).mul_(self._weight)


def short_norm(layer: nn.Module) -> nn.Module:
    """The same norm in fewer operations; itself where none is known. An architecture's formula is not told by its
    class's name, so whether it is the same is for a trial to tell."""
    weight, epsilon = getattr(layer, "weight", None), getattr(layer, "variance_epsilon", None)
    if not type(layer).__name__.endswith("RMSNorm") or weight is None or epsilon is None:
        return layer
    if weight.is_cuda:  # one kernel
        norm = nn.RMSNorm(weight.shape, epsilon, device="meta")
        norm.weight = weight
        return norm
    return Norm(weight, epsilon) if weight.dtype == torch.float32 else layer


class Layer(nn.Module):
    """A decoder layer of Llama's form: queries, keys and values by one product, the two inner ones of the MLP by one,
    and positions turned in three operations instead of ten. A trial does not tell the form alone: some layers compute
    as Llama's do up to some place of a text (Ministral 3's) or size of a number (OLMo's)."""

    def __init__(self, layer: Any, rows: int) -> None:
        super().__init__()
        attention, mlp = layer.self_attn, layer.mlp
        self._place, self._width, self._scale = attention.layer_idx, attention.head_dim, attention.scaling
        inner = [attention.q_proj, attention.k_proj, attention.v_proj]
        self._heads, self._key_heads, _ = (each.out_features // self._width for each in inner)
        self._before, self._between = (
            short_norm(layer.input_layernorm),
            short_norm(layer.post_attention_layernorm),
        )
        self._inner, self._outer = packed(joined(inner), rows), packed(attention.o_proj, rows)
        self._wide, self._narrow = packed(joined([mlp.gate_proj, mlp.up_proj]), rows), packed(mlp.down_proj, rows)
        self._activation = mlp.act_fn

    @classmethod
    def of(cls, layer: nn.Module, rows: int) -> "Layer | None":
        """Of a layer of this form, for steps of about so many rows."""
        if (type(layer).__module__, type(layer).__name__) not in _LLAMAS:
            return None
        kinds = {type(part) for name, part in layer.named_modules() if name.endswith("_proj")}
        if kinds != {nn.Linear}:
            return None
        return cls(layer, rows)

    def forward(
        self, inputs: Tensor, *, position_embeddings: tuple[Tensor, Tensor], step: "Step", **unused: Any
    ) -> Tensor:
        """(batch, tokens, width), and so what comes of it."""
        batch, tokens, _ = inputs.shape
        heads = self._inner(self._before(inputs)).view(batch, tokens, -1, self._width)
        turning, still = torch.split(heads, [self._heads + self._key_heads, self._key_heads], 2)
        turned, value = _turned(turning, *position_embeddings).transpose(1, 2), still.transpose(1, 2)
        query, key = torch.split(turned, [self._heads, self._key_heads], 1)
        seen = step.attend(self._place, query, key, value, self._scale).transpose(1, 2).reshape(batch, tokens, -1)
        inputs = self._outer(seen).add_(inputs)
        gate, up = self._wide(self._between(inputs)).chunk(2, -1)
        outputs: Tensor = self._narrow(self._activation(gate) * up).add_(inputs)
        return outputs


def _turned(heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary positions of (batch, tokens, heads, width), whose halves are turned into each other, by (batch, tokens,
    width)."""
    cosine, (sine, other) = cosine.unsqueeze(2), sine.unsqueeze(2).chunk(2, -1)
    first, second = heads.chunk(2, -1)
    turned = heads * cosine
    left, right = turned.chunk(2, -1)
    left.addcmul_(second, sine, value=-1)
    right.addcmul_(first, other)
    return turned
