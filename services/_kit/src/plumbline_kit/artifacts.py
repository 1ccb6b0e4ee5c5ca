"""The artifact store: files and folders by URI, digest-checked on read, never visible half-written."""

import errno
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from plumbline_contracts.common import Artifact

from .errors import ProblemError

SCHEME = "artifact:"
_FULL = (errno.ENOSPC, errno.EDQUOT)


def digest(path: Path) -> tuple[str, int]:
    """sha256 and size in bytes of a file or folder.

    A folder's digest is that of its `sha256sum`-style listing: one line `<sha256>  <relative path>` a file, sorted.
    """
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size
    files = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
    parts = [(name, *digest(file)) for name, file in files]
    listing = "".join(f"{sha256}  {name}\n" for name, sha256, _ in parts)
    return hashlib.sha256(listing.encode()).hexdigest(), sum(size for *_, size in parts)


class ArtifactStore:
    """A folder that services share. Issue 3 adds an object store behind the same three methods."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, source: Path, name: str) -> Artifact:
        """Copy a file or folder into the store; the URI is made of `name` and the digest, so repeating is harmless."""
        if source.is_dir():
            return self._put(name, lambda target: shutil.copytree(source, target))
        return self._put(name, lambda target: shutil.copyfile(source, target))

    def put_bytes(self, content: bytes, name: str) -> Artifact:
        return self._put(name, lambda target: target.write_bytes(content))

    def _put(self, name: str, write: Callable[[Path], object]) -> Artifact:
        try:
            return self._store(name, write)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            detail = f"The artifact store {self.root} is full; make room there."
            raise ProblemError(503, "disk-full", detail, retry_after=30) from error

    def _store(self, name: str, write: Callable[[Path], object]) -> Artifact:
        self.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.root, prefix=".partial-") as folder:
            partial = Path(folder) / "content"
            write(partial)
            sha256, size = digest(partial)
            artifact = Artifact(uri=f"{SCHEME}{name}-{sha256[:16]}", sha256=sha256, bytes=size)
            target = self._place(artifact.uri)
            if not target.exists():
                try:
                    partial.rename(target)
                except OSError:
                    if not target.exists():  # another process stored the same content in between
                        raise
        return artifact

    def path(self, artifact: Artifact) -> Path:
        """Where the content lies on this machine, after checking its digest. Treat it as read-only."""
        path = self.find(artifact.uri)
        found, _ = digest(path)
        if found != artifact.sha256:
            raise ProblemError(
                422, "digest-mismatch", f"{artifact.uri} has sha256 {found}, expected {artifact.sha256}."
            )
        return path

    def find(self, uri: str) -> Path:
        path = self._place(uri)
        if not path.exists():
            raise ProblemError(422, "unknown-artifact", f"There is no {uri!r} in the artifact store.")
        return path

    def _place(self, uri: str) -> Path:
        name = uri.removeprefix(SCHEME)
        if not uri.startswith(SCHEME) or name.startswith(".") or "/" in name or "\\" in name or not name:
            raise ProblemError(422, "invalid-artifact", f"{uri!r} is not an artifact of this store.")
        return self.root / name
