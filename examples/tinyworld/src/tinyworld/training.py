"""The training of both kinds of models: Muon for the matrices inside the layers, AdamW for the rest."""

from collections.abc import Callable, Iterable

import torch

from tinyworld.muon import Muon

Report = Callable[[int, int], None]


def optimizers(
    model: torch.nn.Module, *, muon_rate: float, decay: float, adam_rate: float, adam_betas: tuple[float, float]
) -> list[torch.optim.Optimizer]:
    """Muon is decisive for learning in so few steps. `decay` is that of its matrices."""
    named = list(model.named_parameters())
    matrices = [value for name, value in named if value.dim() == 2 and "layers" in name]
    others = [value for name, value in named if not (value.dim() == 2 and "layers" in name)]
    return [
        Muon(matrices, lr=muon_rate, momentum=0.95, weight_decay=decay),
        torch.optim.AdamW(others, lr=adam_rate, betas=adam_betas, weight_decay=0.0),
    ]


def train(
    model: torch.nn.Module,
    losses: Iterable[torch.Tensor],
    using: list[torch.optim.Optimizer],
    rate: Callable[[int, int], float],
    steps: int,
    report: Report,
) -> None:
    """A step for each of `losses`, which are computed one by one, as the model is by then. `rate(step, steps)` is the
    factor on the learning rates."""
    schedules = [torch.optim.lr_scheduler.LambdaLR(one, lambda step: rate(step, steps)) for one in using]
    for step, loss in enumerate(losses):
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for schedule in schedules:
            schedule.optimizer.step()
            schedule.step()
        model.zero_grad(set_to_none=True)
        report(step + 1, steps)
