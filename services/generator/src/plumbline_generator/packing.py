"""Weights in the order in which oneDNN reads them: products of few rows, as in a batch's steps, take less time."""

from typing import Any

import torch
from torch import Tensor, nn

_TYPES = (torch.float32, torch.bfloat16)


def can_pack(device: str, dtype: torch.dtype) -> bool:
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and device == "cpu" and dtype in _TYPES


class Packed(nn.Module):
    """A linear layer for inference on a CPU. `rows` is how many it is packed for; more or fewer may come."""

    def __init__(self, linear: nn.Linear, rows: int) -> None:
        super().__init__()
        weight = linear.weight.detach()
        self._packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
        self._bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, inputs: Tensor) -> Tensor:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self._packed, self._bias, "none", [], "")
        return product


class Packing:
    """Of all linear layers of a model, until it is undone."""

    def __init__(self, model: nn.Module, rows: int) -> None:
        self._replaced: list[tuple[nn.Module, str, nn.Linear]] = []
        for parent in list(model.modules()):
            for name, child in list(parent.named_children()):
                if type(child) is nn.Linear and can_pack(child.weight.device.type, child.weight.dtype):
                    layer: Any = Packed(child, rows)
                    setattr(parent, name, layer)
                    self._replaced.append((parent, name, child))

    def undo(self) -> None:
        for parent, name, child in self._replaced:
            setattr(parent, name, child)
