"""One training in a process of its own: `python -m plumbline_trainer.run JOB_FOLDER`. Leaves an outcome there."""

import logging
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

from plumbline_contracts.common import Artifact
from plumbline_contracts.trainer import TrainingRequest
from plumbline_contracts.weights import ADAPTER_BASE, AdapterBase, adapted_sha256
from plumbline_kit import settings
from plumbline_kit.artifacts import open_store
from plumbline_kit.settings import StoreSettings

from . import checkpoints, rows
from .causes import of_error
from .jobs import JobFolder, Outcome, write
from .outages import patiently
from .settings import Plan

log = logging.getLogger(__name__)
_GRACE_S = 5.0


def main(path: Path) -> int:
    # As an exception, so that half-written copies are removed on the way out.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    threading.Thread(target=_end_with_service, daemon=True).start()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    folder = JobFolder(path)
    try:
        weights = _train(folder)
        outcome = Outcome(weights=weights, weights_sha256=_used_sha256(folder, weights))
    except Exception as error:
        log.exception("training failed")
        # Before the outcome is written, because the disk may be full.
        shutil.rmtree(folder.final, ignore_errors=True)
        checkpoints.remove_partial(folder.checkpoints)
        outcome = Outcome(cause=of_error(error))
    write(folder.outcome, outcome)
    return 1 if outcome.weights is None else 0


def _end_with_service() -> None:
    """Standard input is a pipe that only the service holds: it ends when the service does, however that came."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _train(folder: JobFolder) -> Artifact:
    request = TrainingRequest.model_validate_json(folder.request.read_bytes())
    plan = Plan.model_validate_json(folder.plan.read_bytes())
    # From the environment and not from the plan, because a plan is a file and keys are secrets.
    store = open_store(settings.load(StoreSettings))
    # Before torch is imported, so that a wrong line is told at once.
    data = patiently(lambda: rows.read(request.data, request.method, store))
    if plan.engine == "dry_run":
        from .dry_run import train
    else:
        from .train import train  # imports torch
    return train(folder, request, plan, data, store)


def _used_sha256(folder: JobFolder, weights: Artifact) -> str:
    """Of the weights as they are used: an adapter's with those it goes over."""
    file = folder.final / ADAPTER_BASE
    if not file.is_file():
        return weights.sha256
    return adapted_sha256(weights.sha256, AdapterBase.model_validate_json(file.read_bytes()).sha256)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
