"""The likeliest token of each row without the product of all the vocabulary in float32: one in bfloat16, which some
processors multiply eight times as fast, leaves few tokens that can be it, and those are looked at exactly."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from .memory import SCREENED_FROM
from .products import pack, product

_BLOCK = 32  # tokens, of which only the best is looked at first
_MOST = 64  # candidates per row on average; more are not worth it
_ROUNDING = 2.0**-8  # of a number in bfloat16, and twice as much as it can be


def can_screen(device: str, dtype: torch.dtype) -> bool:
    return device == "cpu" and dtype == torch.float32 and bool(torch.cpu.get_capabilities().get("amx_bf16"))


def screened_weight(model: PreTrainedModel) -> Tensor | None:
    """The output layer (vocabulary, width) of a model that is worth it: its float32 weights stay for its input, too."""
    if not can_screen(model.device.type, model.dtype):
        return None
    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    table: Any = model.get_input_embeddings()
    if type(head) is not nn.Linear or head.bias is not None or head.weight is not getattr(table, "weight", None):
        return None
    weight: Tensor = head.weight.detach()
    return weight if weight.numel() >= SCREENED_FROM else None


class Screening:
    """Of an output layer (vocabulary, width), for about so many rows at a time."""

    def __init__(self, weight: Tensor, rows: int) -> None:
        self._weight = weight
        rounded = weight.new_empty(-(-len(weight) // _BLOCK) * _BLOCK, weight.shape[1], dtype=torch.bfloat16)
        rounded[: len(weight)] = weight
        rounded[len(weight) :] = weight[-1]  # again, so that all blocks are whole
        parts = list(zip(*(torch.split(whole, 4096) for whole in (weight, rounded[: len(weight)])), strict=True))
        self._longest = max(float(part.norm(dim=1).max()) for part, _ in parts)
        self._lost = max(float((part - near.float()).norm(dim=1).max()) for part, near in parts)
        self._rounded = pack(rounded, rows)

    def likeliest(self, hidden: Tensor) -> list[int] | None:
        """The token of the highest logit of each row (rows, width); None where too many come near it, or where one has
        no highest, as a broken model's, whose numbers are none."""
        near = hidden.bfloat16()
        blocks = product(near, self._rounded).view(len(hidden), _BLOCK, -1)  # of tokens that lie equally far apart
        best = blocks.view(torch.int16).amax(1).view(torch.bfloat16)  # by their bits: three times as fast
        least = self._least(hidden, near.float(), best.amax(-1).float())
        if bool((least <= 0).any()):  # bits stand in another order where numbers are negative
            best = blocks.amax(1)
            least = self._least(hidden, near.float(), best.amax(-1).float())
        rows, block = (best >= least[:, None]).nonzero(as_tuple=True)
        place, within = (blocks[rows, :, block] >= least[rows, None]).nonzero(as_tuple=True)
        if len(place) > _MOST * len(hidden):
            return None
        rows, tokens = rows[place], (within * blocks.shape[2] + block[place]).clamp_max(len(self._weight) - 1)
        logits = (self._weight[tokens] * hidden[rows]).sum(-1)
        found: dict[int, tuple[float, int]] = {}
        for row, logit, token in zip(rows.tolist(), logits.tolist(), tokens.tolist(), strict=True):
            found[row] = max(found.get(row, (-math.inf, 0)), (logit, -token))  # of equal ones the first
        return [-found[row][1] for row in range(len(hidden))] if len(found) == len(hidden) else None

    def _least(self, hidden: Tensor, near: Tensor, highest: Tensor) -> Tensor:
        """What the likeliest token's rounded logit is at least, given what was multiplied and the highest of each row.

        By Cauchy and Schwarz: |h w - h' w'| <= |h - h'| |w| + |h'| |w - w'|, and what adding up and rounding the sum
        take. Both the highest and the likeliest may be off by that.
        """
        length = near.norm(dim=-1)
        adding = hidden.shape[-1] * torch.finfo(torch.float32).eps * length * self._longest
        off = (hidden - near).norm(dim=-1) * self._longest + length * self._lost + adding
        least: Tensor = highest - 2 * ((1 + _ROUNDING) * off + _ROUNDING * highest.abs())
        return least
