"""Layers in forms that take less time: weights in the order in which oneDNN reads them for products of few rows, as in
a batch's steps, and on a GPU norms in one kernel instead of six."""

import torch
from torch import Tensor, nn

_TYPES = (torch.float32, torch.bfloat16)


def can_pack(device: str, dtype: torch.dtype) -> bool:
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and device == "cpu" and dtype in _TYPES


def pack(weight: Tensor, rows: int) -> Tensor:
    """Of (outputs, inputs), for products with about so many rows."""
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
    return packed


def product(inputs: Tensor, packed: Tensor, bias: Tensor | None = None) -> Tensor:
    outputs: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, packed, bias, "none", [], "")
    return outputs


class Packed(nn.Module):
    """A linear layer for inference on a CPU. `rows` is how many it is packed for; more or fewer may come."""

    def __init__(self, linear: nn.Linear, rows: int) -> None:
        super().__init__()
        self._packed = pack(linear.weight.detach(), rows)
        self._bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, inputs: Tensor) -> Tensor:
        return product(inputs, self._packed, self._bias)


class Packing:
    """Of all layers of a model that have such a form, until it is undone."""

    def __init__(self, model: nn.Module, rows: int) -> None:
        self._replaced: list[tuple[nn.Module, str, nn.Module]] = []
        for parent in list(model.modules()):
            for name, child in list(parent.named_children()):
                if (layer := _packed(child, rows)) is not None:
                    setattr(parent, name, layer)
                    self._replaced.append((parent, name, child))

    def undo(self) -> None:
        for parent, name, child in self._replaced:
            setattr(parent, name, child)


def _packed(layer: nn.Module, rows: int) -> nn.Module | None:
    if type(layer) is nn.Linear and can_pack(layer.weight.device.type, layer.weight.dtype):
        return Packed(layer, rows)
    weight, epsilon = getattr(layer, "weight", None), getattr(layer, "variance_epsilon", None)
    if type(layer).__name__.endswith("RMSNorm") and weight is not None and epsilon is not None and weight.is_cuda:
        norm = nn.RMSNorm(weight.shape, epsilon, device="meta")
        norm.weight = weight
        return norm
    return None
