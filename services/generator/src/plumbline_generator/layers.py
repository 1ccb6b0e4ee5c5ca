"""Norms and decoder layers that compute the same in fewer operations, each of which takes some time of its own."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn, split_with_sizes

from .products import joined, packed

if TYPE_CHECKING:
    from .attention import Step

# The models whose decoder layers' code is Llama's: in transformers 5.23 all their forward passes agree with its own.
_LLAMAS = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "gemma": "Gemma"}


def _is(part: nn.Module, name: str) -> bool:
    """Whether a part is what one of these models calls so."""
    return any(
        (type(part).__module__, type(part).__name__) == (f"transformers.models.{folder}.modeling_{folder}", kind + name)
        for folder, kind in _LLAMAS.items()
    )


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
    as Llama's do up to some place of a text (Ministral 3's) or size of a number (OLMo's). Parts are run without what
    torch does around each (decision 56)."""

    def __init__(self, layer: Any, rows: int) -> None:
        super().__init__()
        attention, mlp = layer.self_attn, layer.mlp
        self._place, self._width, self._scale = attention.layer_idx, attention.head_dim, attention.scaling
        inner = [attention.q_proj, attention.k_proj, attention.v_proj]
        heads, key_heads, _ = (each.out_features // self._width for each in inner)
        self._turning, self._kinds = [heads + key_heads, key_heads], [heads, key_heads]
        self._before = short_norm(layer.input_layernorm).forward
        self._inner, self._outer = packed(joined(inner), rows).forward, packed(attention.o_proj, rows).forward
        self._between = short_norm(layer.post_attention_layernorm).forward
        self._wide = packed(joined([mlp.gate_proj, mlp.up_proj]), rows).forward
        self._activation, self._narrow = mlp.act_fn.forward, packed(mlp.down_proj, rows).forward

    @classmethod
    def of(cls, layer: nn.Module, rows: int) -> "Layer | None":
        """Of a layer of this form, for steps of about so many rows."""
        if not _is(layer, "DecoderLayer"):
            return None
        kinds = {type(part) for name, part in layer.named_modules() if name.endswith("_proj")}
        if kinds != {nn.Linear}:
            return None
        return cls(layer, rows)

    def forward(
        self, inputs: Tensor, *, position_embeddings: tuple[Tensor, Tensor], step: "Step", **unused: Any
    ) -> Tensor:
        """(batch, tokens, width), and so what comes of it. Positions are those of a `Rotation`."""
        batch, tokens, _ = inputs.shape
        cosine, sine = position_embeddings
        heads = self._inner(self._before(inputs)).view(batch, tokens, -1, self._width)
        turning, value = split_with_sizes(heads, self._turning, 2)
        turned = torch.addcmul(turning * cosine, turning.roll(self._width // 2, -1), sine).transpose(1, 2)
        query, key = split_with_sizes(turned, self._kinds, 1)
        seen = step.attend(self._place, query, key, value.transpose(1, 2), self._scale).transpose(1, 2)
        inputs = self._outer(seen.reshape(batch, tokens, -1)).add_(inputs)
        gate, up = self._wide(self._between(inputs)).chunk(2, -1)
        outputs: Tensor = self._narrow(self._activation(gate).mul_(up)).add_(inputs)
        return outputs


class Rotation(nn.Module):
    """Rotary positions as `Layer` takes them: cosines and sines (batch, tokens, 1, width), those of first halves
    negative."""

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__()
        self._embedding = embedding

    @classmethod
    def of(cls, embedding: nn.Module) -> "Rotation | None":
        return cls(embedding) if _is(embedding, "RotaryEmbedding") else None

    def forward(self, inputs: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        cosine, sine = self._embedding(inputs, position_ids)
        first, second = sine.chunk(2, -1)
        return cosine.unsqueeze(2), torch.cat([-first, second], -1).unsqueeze(2)
