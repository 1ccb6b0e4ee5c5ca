"""Linear layers whose weights stand in the order in which a CPU's library multiplies them, which takes less time where
few rows come, as in a batch's steps: MKL's for float32, where torch has it, and else oneDNN's."""

from functools import cache

import torch
from torch import Tensor, nn

_TYPES = (torch.float32, torch.bfloat16)
_ROWS = (*range(1, 18), 31, 32, 33, 48, 63, 64, 65, 96, 128, 255, 512, 1024)  # that are tried


def can_pack(device: str, dtype: torch.dtype) -> bool:
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and device == "cpu" and dtype in _TYPES


def packed(layer: nn.Linear, rows: int) -> nn.Module:
    """The same layer, for products with about so many rows; itself where no order is faster."""
    if not can_pack(layer.weight.device.type, layer.weight.dtype):
        return layer
    if layer.weight.dtype == torch.float32 and mkl_takes_any_rows():
        return PackedByMkl(layer, rows)
    return PackedByOneDnn(layer, rows)


def pack(weight: Tensor, rows: int) -> Tensor:
    """Of (outputs, inputs), in oneDNN's order."""
    found: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
    return found


def product(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """With weights in oneDNN's order."""
    outputs: Tensor = torch.ops.mkldnn._linear_pointwise.default(inputs, weight, bias, "none", [], "")
    return outputs


class PackedByOneDnn(nn.Module):
    def __init__(self, layer: nn.Linear, rows: int) -> None:
        super().__init__()
        self._weight, self._bias = pack(layer.weight.detach(), rows), _bias(layer)

    def forward(self, inputs: Tensor) -> Tensor:
        return product(inputs, self._weight, self._bias)


class PackedByMkl(nn.Module):
    """torch wants to hear for how many rows the weights are packed, and to have them as they were for any other number.
    As MKL's order is the same for all (see `mkl_takes_any_rows`), it hears what comes, and only knows their shape."""

    def __init__(self, layer: nn.Linear, rows: int) -> None:
        super().__init__()
        weight = layer.weight.detach()
        self._weight: Tensor = torch.ops.mkl._mkl_reorder_linear_weight(weight, rows)
        self._shape, self._bias = weight.new_empty(1).expand(weight.shape), _bias(layer)

    def forward(self, inputs: Tensor) -> Tensor:
        rows = inputs.numel() // inputs.shape[-1]
        outputs: Tensor = torch.ops.mkl._mkl_linear.default(inputs, self._weight, self._shape, self._bias, rows)
        return outputs


@cache
@torch.inference_mode()
def mkl_takes_any_rows() -> bool:
    """Whether weights that are packed for one number of rows are multiplied with any other, on this machine. MKL's
    documentation leaves that open, so it is tried."""
    if not (torch.backends.mkl.is_available() and hasattr(torch.ops.mkl, "_mkl_linear")):  # type: ignore[no-untyped-call]
        return False
    numbers = torch.Generator().manual_seed(0)
    for outputs, width in ((64, 32), (333, 77), (640, 384), (2048, 512)):
        layer = nn.Linear(width, outputs, bias=False)
        layer.weight.data.normal_(generator=numbers)
        inputs = torch.randn(max(_ROWS), width, generator=numbers)
        expected = layer(inputs)
        for packed_for in (1, 64):
            tried = PackedByMkl(layer, packed_for)
            if not all(torch.allclose(tried(inputs[:rows]), expected[:rows], 1e-4, 1e-3) for rows in _ROWS):
                return False
    return True


def joined(layers: list[nn.Linear]) -> nn.Linear:
    """One layer that makes the outputs of all, one after the other. Where it is not packed, which copies it anyway, the
    weights are kept once, in it."""
    whole = nn.Linear(layers[0].in_features, sum(layer.out_features for layer in layers), device="meta")
    stays = not can_pack(layers[0].weight.device.type, layers[0].weight.dtype)
    for name in ("weight", "bias"):
        parts = [getattr(layer, name) for layer in layers]
        if any(part is None for part in parts):
            setattr(whole, name, None)
            continue
        together = nn.Parameter(torch.cat([part.detach() for part in parts]), requires_grad=False)
        setattr(whole, name, together)
        if stays:
            views = torch.split(together.detach(), [len(part) for part in parts])
            for part, view in zip(parts, views, strict=True):
                part.data = view
    return whole


def _bias(layer: nn.Linear) -> Tensor | None:
    return None if layer.bias is None else layer.bias.detach()
