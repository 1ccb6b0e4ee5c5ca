"""Which checkpoints are whole. Trainer writes their files one by one, and resumes from half of one without a word."""

import re
import shutil
from pathlib import Path

_MARKER = "COMPLETE"
_FOLDER = re.compile(r"checkpoint-(\d+)")


def mark(checkpoint: Path) -> None:
    (checkpoint / _MARKER).touch()


def newest(folder: Path) -> tuple[int, Path] | None:
    """The step and path of the newest whole checkpoint."""
    return max((found for found in _all(folder) if (found[1] / _MARKER).exists()), default=None)


def remove_partial(folder: Path) -> None:
    for _, path in _all(folder):
        if not (path / _MARKER).exists():
            shutil.rmtree(path)


def _all(folder: Path) -> list[tuple[int, Path]]:
    return [(int(match[1]), path) for path in folder.glob("checkpoint-*") if (match := _FOLDER.fullmatch(path.name))]
