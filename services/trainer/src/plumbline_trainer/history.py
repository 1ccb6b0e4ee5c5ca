"""The history of a job: one JSON line an event, appended by the service and by the training process."""

import os
from datetime import UTC, datetime
from pathlib import Path

from plumbline_contracts.trainer import TrainingEvent, TrainingProgress, TrainingState
from pydantic import AwareDatetime, BaseModel, ValidationError


class Line(BaseModel):
    at: AwareDatetime
    state: TrainingState
    progress: TrainingProgress | None


def append(path: Path, state: TrainingState, progress: TrainingProgress | None = None) -> None:
    line = Line(at=datetime.now(UTC), state=state, progress=progress).model_dump_json().encode() + b"\n"
    with path.open("ab+") as file:
        # What a killed process left half-written becomes a line of its own, which `read` leaves out.
        if file.tell() and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n":
            line = b"\n" + line
        file.write(line)


def read(path: Path, offset: int = 0, number: int = 1) -> tuple[list[TrainingEvent], int]:
    """The events after `offset` bytes, numbered from `number`, and the offset after the last whole line."""
    with path.open("rb") as file:
        file.seek(offset)
        whole, newline, _ = file.read().rpartition(b"\n")
    lines = [line for text in whole.split(b"\n") if (line := _parse(text)) is not None]
    events = [
        TrainingEvent(number=n, at=line.at, state=line.state, progress=line.progress)
        for n, line in enumerate(lines, number)
    ]
    return events, offset + len(whole) + len(newline)


def _parse(text: bytes) -> Line | None:
    try:
        return Line.model_validate_json(text)
    except ValidationError:
        return None
