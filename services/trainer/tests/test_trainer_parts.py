"""The parts that need no process: history, checkpoints, causes, the lock, the stop at a diverged loss."""

import errno
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from plumbline_contracts.trainer import Hyperparameters, TrainingState
from plumbline_kit.errors import ProblemError
from plumbline_trainer import causes, checkpoints, history, supervisor
from plumbline_trainer.jobs import Job, JobStore
from plumbline_trainer.settings import Settings


def test_a_torn_line_is_left_out_and_hides_nothing(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    history.append(path, TrainingState.QUEUED)
    path.write_bytes(path.read_bytes() + b'{"at": "2026-')
    events, offset = history.read(path)
    assert len(events) == 1
    history.append(path, TrainingState.RUNNING)
    later, _ = history.read(path, offset, 2)
    assert [(event.number, event.state) for event in later] == [(2, TrainingState.RUNNING)]
    assert [event.number for event in history.read(path)[0]] == [1, 2]


def test_only_whole_checkpoints_count(tmp_path: Path) -> None:
    for step in (5, 10, 100):
        (tmp_path / f"checkpoint-{step}").mkdir()
    assert checkpoints.newest(tmp_path) is None
    for step in (5, 10):
        checkpoints.mark(tmp_path / f"checkpoint-{step}")
    checkpoints.remove_partial(tmp_path)
    assert checkpoints.newest(tmp_path) == (10, tmp_path / "checkpoint-10")
    assert not (tmp_path / "checkpoint-100").exists()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), "Memory ran out"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "Memory ran out"),
        (ProblemError(422, "invalid-data", "Line 3 is wrong."), "Line 3 is wrong."),
        (ValueError("first line\nsecond"), "ValueError: first line"),
        (KeyError(), "KeyError"),
    ],
)
def test_causes_are_words(error: Exception, told: str) -> None:
    assert causes.of_error(error).startswith(told)
    assert "\n" not in causes.of_error(error)


def test_a_silent_end_is_told_by_its_status(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("Traceback ...\nImportError: no such thing\n\n")
    assert causes.of_exit(1, log) == "The training process ended with status 1: ImportError: no such thing"
    assert "SIGSEGV (signal 11)" in causes.of_exit(-11, log)
    assert "SIGTERM (signal 15)" in causes.of_exit(143, log)


def test_two_services_cannot_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_LOCK_WAIT_S", 0.1)
    settings = Settings(jobs_dir=tmp_path)

    async def twice() -> None:
        first, second = (supervisor.Supervisor(JobStore(tmp_path), settings) for _ in range(2))
        async with first.supervise(), second.supervise():
            raise AssertionError("both run")

    with pytest.raises(BaseExceptionGroup) as caught:
        anyio.run(twice)
    assert caught.group_contains(ProblemError, match="Another trainer works in")


def test_attempts_count_only_while_a_training_gets_no_further(tmp_path: Path) -> None:
    store = JobStore(tmp_path)
    attempt = supervisor.Supervisor(store, Settings(jobs_dir=tmp_path))._next_attempt
    job = Job(id="poison", state=TrainingState.QUEUED, created=datetime.now(UTC))
    job = attempt(attempt(job))
    assert (job.attempts, job.reached) == (2, 0)
    (checkpoint := store.folder("poison").checkpoints / "checkpoint-50").mkdir(parents=True)
    checkpoints.mark(checkpoint)
    assert (attempt(job).attempts, attempt(job).reached) == (1, 50)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_diverged_loss_stops_the_training(tmp_path: Path, loss: float) -> None:
    from plumbline_trainer.progress import Progress
    from transformers import TrainerControl, TrainerState, TrainingArguments

    given: Any = (TrainingArguments(use_cpu=True), TrainerState(global_step=3, max_steps=9), TrainerControl())
    with pytest.raises(ProblemError, match=f"The loss is {loss} at step 3 of 9. Usual reasons: learning rate"):
        Progress(tmp_path / "events.jsonl").on_log(*given, logs={"loss": loss})


def test_a_constant_schedule_keeps_its_warm_up() -> None:
    from plumbline_trainer.train import _scheduler

    assert _scheduler(Hyperparameters(learning_rate=1, scheduler="constant")) == "constant_with_warmup"
    assert _scheduler(Hyperparameters(learning_rate=1, scheduler="constant", warmup_ratio=0)) == "constant"
    assert _scheduler(Hyperparameters(learning_rate=1)) == "cosine"


def test_a_folder_that_is_no_model_is_told(tmp_path: Path) -> None:
    from plumbline_trainer.train import _load

    with pytest.raises(ProblemError, match="empty is not a causal language model with safetensors") as caught:
        _load("empty", tmp_path)
    assert caught.value.kind == "unusable-model"


def test_rows_without_room_for_a_response_are_told(tiny: Path) -> None:
    from plumbline_trainer.train import _check_lengths
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    _check_lengths([{"prompt": "a" * 7}, {"prompt": "a" * 8}], tokenizer, 8)
    with pytest.raises(ProblemError, match="Every prompt fills max_length 8"):
        _check_lengths([{"prompt": "a" * 8}], tokenizer, 8)
