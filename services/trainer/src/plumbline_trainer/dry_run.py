"""A trainer without training: reads the data, counts the steps, returns the base weights as they are."""

import json
import math
import time

from plumbline_contracts.common import Artifact
from plumbline_contracts.trainer import TrainingProgress, TrainingRequest, TrainingState
from plumbline_kit.artifacts import ArtifactStore
from plumbline_kit.errors import ProblemError

from . import history
from .jobs import JobFolder
from .models import find
from .outages import patiently
from .rows import Row
from .settings import Plan

_EVENTS = 10


def train(folder: JobFolder, request: TrainingRequest, plan: Plan, data: list[Row], store: ArtifactStore) -> Artifact:
    chosen = request.hyperparameters
    batches = math.ceil(len(data) / chosen.batch_size)
    total = math.ceil(chosen.epochs * math.ceil(batches / chosen.gradient_accumulation_steps))
    for step in sorted({total * part // _EVENTS for part in range(_EVENTS + 1)}):
        progress = TrainingProgress(step=step, total_steps=total, loss=None, reward_accuracy=None)
        history.append(folder.history, TrainingState.RUNNING, progress)
        time.sleep(plan.dry_run_s / _EVENTS)
    try:
        base = patiently(lambda: find(request.model, plan, store))
    except ProblemError as error:
        if error.status == 503:
            raise
        marker = {"dry_run": True, "model": request.model, "cause": error.detail}
        base = folder.final
        base.mkdir()
        (base / "dry_run.json").write_text(json.dumps(marker, indent=1) + "\n")
    return patiently(lambda: store.put(base, folder.path.name))
