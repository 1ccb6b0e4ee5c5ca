"""Attention of many rows to one prefix: its keys and values stand once, and all rows' queries meet them together.

A row's keys are those of its prefix, which it may share, and those of its own tail. Attention to each part also tells
the logarithm of its softmax's denominator, and with the two logarithms both parts are put together exactly.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import AttentionInterface

NAME = "plumbline_shared_prefix"
_OF_ANOTHER_KIND = ("softcap", "s_aux", "position_bias")


class Step(Protocol):
    """One forward pass: what it stores of each layer, and what its queries see."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """From queries (batch, heads, tokens, width) and the new keys and values to outputs of the queries' shape."""


class Group(NamedTuple):
    """Tokens behind the same prefix: keys and values per layer (1, heads, places, width). Without `tokens`: all."""

    keys: Sequence[Tensor]
    values: Sequence[Tensor]
    tokens: Tensor | None


def register() -> None:
    """Known to transformers; a name without a mask of its own, so that the models make none."""
    AttentionInterface.register(NAME, _attention)


def _attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    step: Step | None = None,
    **further: Any,
) -> tuple[Tensor, None]:
    unknown = [name for name in _OF_ANOTHER_KIND if further.get(name) is not None]
    if step is None or attention_mask is not None or unknown:
        raise NotImplementedError(f"attention with {unknown or 'a mask'} is not shared")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    layer: Any = module.layer_idx
    return step.attend(layer, query, key, value, scale).transpose(1, 2).contiguous(), None


_ON_CPU = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default


def attend(
    query: Tensor, key: Tensor, value: Tensor, scale: float, *, mask: Tensor | None = None, causal: bool = False
) -> tuple[Tensor, Tensor]:
    """Outputs, and the logarithm of each softmax's denominator (batch, heads, queries). `mask` is added.

    By torch's own kernels, called below its one function for all of them as that does not give the logarithm. On a CPU
    several heads of queries may share one of keys; elsewhere there are as many of both.
    """
    if query.is_cpu:
        output, logarithm = _ON_CPU(query, key, value, 0.0, causal, attn_mask=mask, scale=scale)
        return output, logarithm
    kernels = torch.ops.aten
    if query.device.type != "cuda" or query.shape[-1] % 8:
        return attend_plainly(query, key, value, scale, mask=mask, causal=causal)
    if mask is None and query.dtype != torch.float32:
        flash = kernels._scaled_dot_product_flash_attention
        output, logarithm = flash(query, key, value, 0.0, causal, False, scale=scale)[:2]
        return output, logarithm
    bias = None if mask is None else _aligned(mask).expand(*query.shape[:3], -1)
    efficient = kernels._scaled_dot_product_efficient_attention
    output, logarithm = efficient(query, key, value, bias, True, 0.0, causal, scale=scale)[:2]
    return output, logarithm[:, :, : query.shape[2]]  # it is padded


def _aligned(mask: Tensor) -> Tensor:
    """The same, whose rows begin at multiples of 8 numbers; only copied where they do not."""
    beyond = -mask.shape[-1] % 8
    return pad(mask, (0, beyond))[..., : mask.shape[-1]] if beyond else mask


def attend_plainly(
    query: Tensor, key: Tensor, value: Tensor, scale: float, *, mask: Tensor | None = None, causal: bool = False
) -> tuple[Tensor, Tensor]:
    """The same where torch has no such kernel that tells the logarithm."""
    scores = (query @ key.transpose(-1, -2)).float() * scale
    if mask is not None:
        scores = scores + mask
    if causal:
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).triu(1)
        scores = scores.masked_fill(future, float("-inf"))
    return scores.softmax(-1).to(value.dtype) @ value, scores.logsumexp(-1)


def joined(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> Tensor:
    """Attention to both parts, from outputs and logarithms of each. A part without keys has the logarithm -inf."""
    weight = torch.sigmoid(second[1] - first[1]).unsqueeze(-1).to(first[0].dtype)
    return torch.lerp(first[0], second[0], weight)


def to_prefixes(query: Tensor, groups: Sequence[Group], layer: int, scale: float) -> tuple[Tensor, Tensor]:
    """Attention of queries (tokens, key heads, queries per head, width) to the prefix of each."""
    if len(groups) == 1 and groups[0].tokens is None:
        return to_all(query, groups[0].keys[layer], groups[0].values[layer], scale)
    output = torch.zeros(*query.shape[:-1], groups[0].values[layer].shape[-1], dtype=query.dtype, device=query.device)
    logarithm = torch.full(query.shape[:-1], float("-inf"), dtype=torch.float32, device=query.device)
    for group in groups:
        found = to_all(query[group.tokens], group.keys[layer], group.values[layer], scale)
        output[group.tokens], logarithm[group.tokens] = found
    return output, logarithm


def to_all(query: Tensor, key: Tensor, value: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Attention of queries (tokens, key heads, queries per head, width) to the same keys and values."""
    tokens, heads, shared, width = query.shape
    together = query.transpose(0, 1).reshape(1, heads, tokens * shared, width)
    output, logarithm = attend(together, key, value, scale)
    output = output.reshape(heads, tokens, shared, -1).transpose(0, 1)
    return output, logarithm.reshape(heads, tokens, shared).transpose(0, 1)
