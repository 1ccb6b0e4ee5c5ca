"""The artifact store: files and folders by URI, digest-checked on read, never visible half-written."""

import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from plumbline_contracts.common import Artifact

from .errors import ProblemError

if TYPE_CHECKING:
    from .settings import StoreSettings

SCHEME = "artifact:"
_DIGITS = 16  # of the sha256 that end a URI
State = tuple[tuple[str, int, int], ...]


class ArtifactStore(ABC):
    """What is read lies below `root`, a folder of this machine; treat it as read-only."""

    remote: bool  # whether there may be more than lies below `root`

    def __init__(self, root: Path, digests: "Digests") -> None:
        self.root, self.digests = root, digests

    @abstractmethod
    def put(self, source: Path, name: str) -> Artifact:
        """Store a file or folder; the URI is made of `name` and the digest, so repeating is harmless."""

    @abstractmethod
    def put_bytes(self, content: bytes, name: str) -> Artifact: ...

    @abstractmethod
    def path(self, artifact: Artifact) -> Path:
        """Where the content lies; `unknown-artifact`, or `digest-mismatch` if it is not what it was."""

    @abstractmethod
    def find(self, uri: str) -> Path:
        """As `path`, for who knows the URI alone. Cheap to repeat: unchanged files are not read again."""

    @abstractmethod
    def require(self, uri: str) -> None:
        """The problem `unknown-artifact` unless it is there; moves and reads no content."""

    @abstractmethod
    def check(self) -> None:
        """A problem with status 503 when nothing can be stored now."""


def open_store(settings: "StoreSettings") -> ArtifactStore:
    """The store that the settings name. It is contacted when it is first used."""
    from .folder_store import FolderStore

    folder = FolderStore(settings.artifacts_dir)
    if settings.artifacts_url is None:
        return folder
    from .s3_store import S3Store  # needs the extra `s3`

    return S3Store(folder, settings)


def new_artifact(name: str, sha256: str, size: int) -> Artifact:
    return Artifact(uri=f"{SCHEME}{name}-{sha256[:_DIGITS]}", sha256=sha256, bytes=size)


def name_of(uri: str) -> str:
    """The URI without its scheme: one plain file name; else the problem `invalid-artifact`."""
    name = uri.removeprefix(SCHEME)
    if not uri.startswith(SCHEME) or name.startswith(".") or "/" in name or "\\" in name or not name:
        raise ProblemError(422, "invalid-artifact", f"{uri!r} is not an artifact of this store.")
    return name


def digits_of(uri: str) -> str:
    """The beginning of the sha256 with which a URI ends; else the problem `unknown-artifact`."""
    digits = uri.rpartition("-")[2]
    if len(digits) != _DIGITS or set(digits) - set("0123456789abcdef"):
        raise unknown(uri)
    return digits


def unknown(uri: str) -> ProblemError:
    return ProblemError(422, "unknown-artifact", f"There is no {uri!r} in the artifact store.")


def compare(what: str, found: str, expected: str) -> None:
    """The problem `digest-mismatch` unless `found` begins with `expected`, which is a sha256 or the start of one."""
    if not found.startswith(expected):
        raise ProblemError(422, "digest-mismatch", f"{what} has sha256 {found}, expected {expected}.")


def files(path: Path) -> list[tuple[str, Path]]:
    """(relative name, path) of every file in a folder, sorted; a name with a line break is `invalid-artifact`."""
    found = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
    for name, _ in found:
        if "\n" in name:  # it could not be told from two lines of the listing
            raise ProblemError(422, "invalid-artifact", f"The file name {name!r} has a line break.")
    return found


def listing(path: Path) -> str:
    """What `sha256sum` prints of a folder: one line `<sha256>  <relative path>` a file, sorted."""
    return "".join(f"{digest(file)[0]}  {name}\n" for name, file in files(path))


def digest(path: Path) -> tuple[str, int]:
    """sha256 and size in bytes of a file or folder. A folder's digest is that of its listing."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size
    size = sum(file.stat().st_size for _, file in files(path))
    return hashlib.sha256(listing(path).encode()).hexdigest(), size


def state(path: Path) -> State:
    """Names, sizes and times of a file or folder: when it is the same, so is the content, but for a broken disk."""
    found = [("", path)] if path.is_file() else files(path)
    return tuple((name, (stat := file.stat()).st_size, stat.st_mtime_ns) for name, file in found)


class Digests:
    """Digests that are computed again only when a name, size or time has changed."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[State, str]] = {}
        self._reading = Lock()  # gigabytes that two ask for are read once

    def of(self, path: Path) -> str:
        now = state(path)
        with self._reading:
            known = self._known.get(path)
            if known is None or known[0] != now:
                known = self._known[path] = now, digest(path)[0]
        return known[1]

    def known(self, path: Path) -> str | None:
        """The digest where it need not be computed."""
        known = self._known.get(path)
        return known[1] if known is not None and known[0] == state(path) else None
