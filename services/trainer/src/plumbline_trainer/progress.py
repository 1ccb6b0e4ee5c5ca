"""What a training reports while it runs, and when it must stop."""

import math
from pathlib import Path
from typing import Any

from plumbline_contracts.trainer import TrainingProgress, TrainingState
from plumbline_kit.errors import ProblemError
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from . import checkpoints, history


class Progress(TrainerCallback):
    """Writes measured steps into the job's history, and marks whole checkpoints."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._append(state, None, None)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        logs: dict[str, Any] = given["logs"]
        if "loss" not in logs:  # the summary at the end
            return
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise diverged(f"The loss is {loss} at step {state.global_step} of {state.max_steps}", args.learning_rate)
        self._append(state, loss, logs.get("rewards/accuracies"))

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        assert args.output_dir is not None
        checkpoints.mark(Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}")

    def _append(self, state: TrainerState, loss: float | None, accuracy: float | None) -> None:
        progress = TrainingProgress(
            step=state.global_step, total_steps=state.max_steps, loss=loss, reward_accuracy=accuracy
        )
        history.append(self.path, TrainingState.RUNNING, progress)


def diverged(what: str, learning_rate: float) -> ProblemError:
    usual = f"Usual reasons: learning rate {learning_rate:g} is too high, or the base weights are broken"
    return ProblemError(422, "diverged", f"{what}. {usual}.")
