"""Find a repository of the Hugging Face hub: in a local folder that mirrors it first, then by download."""

import os
import re
from pathlib import Path
from typing import Literal

from huggingface_hub import constants, scan_cache_dir, snapshot_download
from huggingface_hub.errors import (
    CacheNotFound,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from .client import TRANSIENT
from .errors import ProblemError

# A repository often has its weights several times; only safetensors are read here.
_OF_OTHER_LIBRARIES = [
    *("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.ot", "*.onnx", "*.onnx_data", "*.gguf", "*.tflite"),
    "consolidated*.safetensors",  # Mistral's own layout, beside that of transformers
]
_REFERENCE = re.compile(r"(?P<id>[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?)(?:@(?P<revision>[\w.-]+))?")


def local(reference: str, mirror: Path) -> Path | None:
    """`mirror/org/name` if it is there; a revision is `mirror/org/name@revision`."""
    folder = mirror / reference
    return folder if _REFERENCE.fullmatch(reference) and folder.is_dir() else None


def locate(reference: str, mirror: Path, kind: Literal["model", "dataset"], *, download: bool) -> Path:
    """The folder of `org/name[@revision]`; else the problem `unknown-model` or `unknown-dataset`.

    Two problems may pass: `unreadable-files`, when somebody changes the mode of files, and `hub-unavailable`.
    """
    if (found := local(reference, mirror)) is not None:
        _require_readable(found)
        return found
    match = _REFERENCE.fullmatch(reference)
    if match is None or not download:
        have = ", ".join(names(mirror)) or "nothing"
        detail = f"There is no {kind} {reference!r} here: {mirror} has {have}."
        advice = f" Put its folder at {mirror / reference}, or have it downloaded: this service's setting ..._HUB=true."
        raise ProblemError(422, f"unknown-{kind}", detail + ("" if match is None else advice))
    return _download(reference, match["id"], match["revision"], mirror, kind)


def _download(reference: str, id: str, revision: str | None, mirror: Path, kind: Literal["model", "dataset"]) -> Path:
    """The cached folder where the hub's is the same, or cannot be asked."""
    ignored = _OF_OTHER_LIBRARIES if kind == "model" else None
    try:
        return Path(snapshot_download(id, revision=revision, repo_type=kind, ignore_patterns=ignored)).resolve()
    except RepositoryNotFoundError as error:
        detail = f"The hub has no {kind} {id!r} that this token may read (HF_TOKEN)."
        raise ProblemError(422, f"unknown-{kind}", detail) from error
    except RevisionNotFoundError as error:
        named = "Name a branch, a tag or a whole commit of it."
        detail = f"The hub has {kind} {id!r}, but no revision {revision!r} of it. {named}"
        raise ProblemError(422, f"unknown-{kind}", detail) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        places = f"{kind} {reference!r} is neither in {mirror} nor, whole, in the cache {constants.HF_HUB_CACHE}"
        place = f"Put its folder at {mirror / reference}"
        if constants.HF_HUB_OFFLINE:
            raise ProblemError(422, f"unknown-{kind}", f"{places}, and HF_HUB_OFFLINE is set. {place}.") from error
        detail = f"{places}, and the download failed: {_first(error)}."
        if _is_final(error):
            raise ProblemError(422, f"unknown-{kind}", f"{detail} {place}.") from error
        advice = f"{place}, or set HF_HUB_OFFLINE=1 if the hub is never to be asked."
        raise ProblemError(503, "hub-unavailable", f"{detail} {advice}", retry_after=30) from error


def _is_final(error: BaseException) -> bool:
    """Whether the hub has answered, and would answer the same again."""
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
    return 400 <= status < 500 and status not in TRANSIENT


def _first(error: BaseException) -> str:
    """Of a chain of errors: no connection, a full disk."""
    return f"{type(error).__name__}: {error}" if error.__cause__ is None else _first(error.__cause__)


def cached() -> dict[str, Path]:
    """The folder of every model that was downloaded, by its reference: `org/name` for its main branch, else with an
    @revision."""
    try:
        repositories = scan_cache_dir().repos
    except CacheNotFound:
        return {}
    found = {}
    for repository in sorted(repositories, key=lambda one: one.repo_id):
        for revision in repository.revisions if repository.repo_type == "model" else ():
            name = min(revision.refs, key=lambda ref: (ref != "main", ref), default=revision.commit_hash)
            found[repository.repo_id + ("" if name == "main" else f"@{name}")] = revision.snapshot_path
    return found


def commit_of(folder: Path) -> str | None:
    """The commit that was downloaded into this folder of the cache."""
    return folder.name if folder.is_relative_to(Path(constants.HF_HUB_CACHE).resolve()) else None


def _require_readable(folder: Path) -> None:
    """Libraries save weights for their owner alone, and a container has a user of its own."""
    closed = [path.name for path in (folder, *sorted(folder.rglob("*"))) if path.exists() and not _readable(path)]
    if closed:
        detail = f"This service (user {os.getuid()}) may not read {', '.join(closed)} in {folder}: chmod -R a+rX there."
        raise ProblemError(503, "unreadable-files", detail, retry_after=10)


def _readable(path: Path) -> bool:
    return os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK)


def names(mirror: Path) -> list[str]:
    """Every repository under the folder: those with a configuration, data file or README in them."""
    marks = ("config.json", "adapter_config.json", "README.md", "*.jsonl", "*.parquet", "data")
    folders = [folder for level in ("*", "*/*") for folder in mirror.glob(level) if folder.is_dir()]
    return sorted(
        folder.relative_to(mirror).as_posix() for folder in folders if any(any(folder.glob(m)) for m in marks)
    )
