"""Find a repository of the Hugging Face hub: in a local folder that mirrors it first, then by download."""

import os
import re
from pathlib import Path
from typing import Literal

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from .errors import ProblemError

_REFERENCE = re.compile(r"(?P<id>[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?)(?:@(?P<revision>[\w.-]+))?")


def local(reference: str, mirror: Path) -> Path | None:
    """`mirror/org/name` if it is there; a revision is `mirror/org/name@revision`."""
    folder = mirror / reference
    return folder if _REFERENCE.fullmatch(reference) and folder.is_dir() else None


def locate(reference: str, mirror: Path, kind: Literal["model", "dataset"], *, download: bool) -> Path:
    """The folder of `org/name[@revision]`; else the problem `unknown-model` or `unknown-dataset`.

    The problem `unreadable-files` is one that may pass: somebody has to change the mode of files.
    """
    if (found := local(reference, mirror)) is not None:
        _require_readable(found)
        return found
    match = _REFERENCE.fullmatch(reference)
    if match is None or not download:
        have = ", ".join(names(mirror)) or "nothing"
        detail = f"There is no {kind} {reference!r} here: {mirror} has {have}."
        advice = f" Put its folder at {mirror / reference}, or let this service download from the hub."
        raise ProblemError(422, f"unknown-{kind}", detail + ("" if match is None else advice))
    try:
        return Path(snapshot_download(match["id"], revision=match["revision"], repo_type=kind))
    except RepositoryNotFoundError as error:
        detail = f"The hub has no {kind} {reference!r} that this token may read."
        raise ProblemError(422, f"unknown-{kind}", detail) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        detail = f"{kind} {reference!r} is not in {mirror}, and the hub cannot be reached: {type(error).__name__}. "
        raise ProblemError(422, f"unknown-{kind}", detail + f"Put its folder at {mirror / reference}.") from error


def _require_readable(folder: Path) -> None:
    """Libraries save weights for their owner alone, and a container has a user of its own."""
    closed = [path.name for path in (folder, *sorted(folder.rglob("*"))) if path.exists() and not _readable(path)]
    if closed:
        detail = f"This service (user {os.getuid()}) may not read {', '.join(closed)} in {folder}: chmod -R a+rX there."
        raise ProblemError(503, "unreadable-files", detail, retry_after=10)


def _readable(path: Path) -> bool:
    return os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK)


def names(mirror: Path) -> list[str]:
    """Every repository under the folder: those with a config.json, data file or README in them."""
    marks = ("config.json", "README.md", "*.jsonl", "*.parquet", "data")
    folders = [folder for level in ("*", "*/*") for folder in mirror.glob(level) if folder.is_dir()]
    return sorted(
        folder.relative_to(mirror).as_posix() for folder in folders if any(any(folder.glob(m)) for m in marks)
    )
