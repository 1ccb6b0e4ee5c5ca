"""Muon in float32 with matrices of one shape handled together.

torch.optim.Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) does the same sums in bfloat16, which
processors without bfloat16 instructions emulate: there it took more time than the model itself.
"""

from collections.abc import Iterable

import torch

# The quintic that makes all singular values of a matrix about 1 in five rounds, from the page above.
A, B, C = 3.4445, -4.7750, 2.0315
ROUNDS = 5


def orthogonalize(stack: torch.Tensor) -> torch.Tensor:
    """The nearest matrices with orthonormal rows or columns, roughly; shape (count, rows, columns)."""
    tall = stack.shape[1] > stack.shape[2]
    x: torch.Tensor = stack.mT if tall else stack
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = A * x + (B * gram + C * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """For two-dimensional parameters only. Momentum is Nesterov's."""

    def __init__(self, matrices: Iterable[torch.nn.Parameter], lr: float, momentum: float, weight_decay: float) -> None:
        by_shape: dict[torch.Size, list[torch.nn.Parameter]] = {}
        for matrix in matrices:
            by_shape.setdefault(matrix.shape, []).append(matrix)
        groups = [{"params": group} for group in by_shape.values()]
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            matrices = group["params"]
            gradient = torch.stack([matrix.grad for matrix in matrices])
            state = self.state[matrices[0]]
            average = state.setdefault("average", torch.zeros_like(gradient))
            average.lerp_(gradient, 1 - group["momentum"])
            update = orthogonalize(gradient.lerp(average, group["momentum"]))
            rows, columns = update.shape[1:]
            for matrix, change in zip(matrices, update, strict=True):
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(change, alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)
