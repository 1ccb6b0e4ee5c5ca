"""The job store: one folder a job, readable with a text editor, never half-written."""

import json
import os
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from plumbline_contracts.common import Artifact, Place
from plumbline_contracts.trainer import TrainingEvent, TrainingProgress, TrainingRequest, TrainingState
from plumbline_kit.errors import ProblemError
from pydantic import AwareDatetime, BaseModel

from .history import append, read
from .settings import Plan

ENDED = frozenset({TrainingState.COMPLETED, TrainingState.FAILED, TrainingState.CANCELLED})


class Job(BaseModel):
    """What is known about a job beside its request and its history."""

    id: str
    state: TrainingState
    created: AwareDatetime
    started: AwareDatetime | None = None
    finished: AwareDatetime | None = None
    cause: str | None = None
    weights: Artifact | None = None
    weights_sha256: str | None = None
    pid: int | None = None
    attempts: int = 0  # starts since the last one that got further than the one before it
    reached: int = 0  # the step at which the latest attempt began


class Outcome(BaseModel):
    """How a training process says what came of it: weights, or the cause why there are none."""

    weights: Artifact | None = None
    weights_sha256: str | None = None  # as the contract's
    cause: str | None = None


class JobFolder:
    """The files of one job. The service writes all of them but `outcome`, `work/` and its lines of `history`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.request, self.plan, self.state = path / "request.json", path / "plan.json", path / "state.json"
        self.history, self.log, self.outcome = path / "events.jsonl", path / "log.txt", path / "outcome.json"
        self.work = path / "work"  # checkpoints and temporary files: removed at the end
        self.checkpoints, self.final, self.temporary = (self.work / name for name in ("checkpoints", "final", "tmp"))


class JobStore:
    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def folder(self, id: str) -> JobFolder:
        return JobFolder(self.root / id)

    def create(self, id: str, request: TrainingRequest) -> bool:
        """Whether this made the job; not when there was one already."""
        with tempfile.TemporaryDirectory(dir=self.root, prefix=".partial-") as temporary:
            partial = JobFolder(Path(temporary) / "job")
            partial.path.mkdir()
            partial.request.write_text(request.model_dump_json(indent=1))
            job = Job(id=id, state=TrainingState.QUEUED, created=datetime.now(UTC))
            partial.state.write_text(job.model_dump_json(indent=1))
            append(partial.history, job.state)
            try:
                partial.path.rename(self.root / id)
            except OSError:
                if not self.exists(id):
                    raise
                return False  # an equal request was faster
        return True

    def compare(self, id: str, request: TrainingRequest) -> None:
        """The problem `id-taken` unless this is the request that the job was made with."""
        faults = _differences(self.request(id).model_dump(mode="json"), request.model_dump(mode="json"))
        if faults:
            places = ", ".join(fault.place for fault in faults)
            detail = f"Training {id!r} exists with another request; what differs: {places}. Choose another id."
            raise ProblemError(409, "id-taken", detail, errors=faults)

    def exists(self, id: str) -> bool:
        return self.folder(id).state.is_file()

    def request(self, id: str) -> TrainingRequest:
        return TrainingRequest.model_validate_json(self.folder(id).request.read_bytes())

    def read(self, id: str) -> Job:
        try:
            return Job.model_validate_json(self.folder(id).state.read_bytes())
        except FileNotFoundError as error:
            raise ProblemError(404, "unknown-training", f"There is no training {id!r}.") from error

    def record(self, job: Job) -> None:
        """Write the state, and its change into the history first, so that who reads an end can read all of it."""
        events, _ = self.events(job.id)
        if not events or events[-1].state != job.state:
            append(self.folder(job.id).history, job.state)
        write(self.folder(job.id).state, job)

    def events(self, id: str, offset: int = 0, number: int = 1) -> tuple[list[TrainingEvent], int]:
        return read(self.folder(id).history, offset, number)

    def progress(self, id: str) -> TrainingProgress | None:
        measured = [event.progress for event in self.events(id)[0] if event.progress is not None]
        return measured[-1] if measured else None

    def prepare(self, id: str, plan: Plan) -> JobFolder:
        """Make the folder ready for another process to work in; what an earlier one left unfinished goes."""
        folder = self.folder(id)
        for leftover in (folder.final, folder.temporary):
            shutil.rmtree(leftover, ignore_errors=True)
        folder.temporary.mkdir(parents=True)
        folder.outcome.unlink(missing_ok=True)
        write(folder.plan, plan)
        return folder

    def outcome(self, id: str) -> Outcome | None:
        try:
            return Outcome.model_validate_json(self.folder(id).outcome.read_bytes())
        except FileNotFoundError:
            return None

    def clean(self, id: str, *, keep_checkpoints: bool) -> None:
        folder = self.folder(id)
        leftovers = [folder.final, folder.temporary] if keep_checkpoints else [folder.work]
        for leftover in leftovers:
            shutil.rmtree(leftover, ignore_errors=True)

    def unfinished(self) -> list[Job]:
        """Every job that has not ended, oldest first."""
        for partial in self.root.glob(".partial-*"):
            shutil.rmtree(partial, ignore_errors=True)
        jobs = [self.read(state.parent.name) for state in self.root.glob("*/state.json")]
        return sorted((job for job in jobs if job.state not in ENDED), key=lambda job: job.created)


def write(path: Path, content: BaseModel) -> None:
    """Replace a file at once: after a crash it has its old content or the new, never half of one."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w") as file:
        file.write(content.model_dump_json(indent=1))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _differences(there: object, here: object, place: str = "body") -> list[Place]:
    if there == here:
        return []
    if isinstance(there, dict) and isinstance(here, dict):
        return [
            fault for key in there | here for fault in _differences(there.get(key), here.get(key), f"{place}.{key}")
        ]
    return [Place(place=place, message=f"{json.dumps(there)} in the existing training, {json.dumps(here)} in this one")]
