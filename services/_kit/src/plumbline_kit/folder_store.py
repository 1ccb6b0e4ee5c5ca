"""Artifacts in a folder: shared between services, or the cache of another store."""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from plumbline_contracts.common import Artifact

from .artifacts import ArtifactStore, Digests, compare, digest, digits_of, name_of, new_artifact, unknown
from .errors import ProblemError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_PARTIAL = ".partial-"
_ABANDONED_S = 24 * 3600.0  # longer than any copy takes


class FolderStore(ArtifactStore):
    remote = False

    def __init__(self, root: Path) -> None:
        super().__init__(root, Digests())

    def put(self, source: Path, name: str) -> Artifact:
        if source.is_dir():
            return self._put(name, lambda target: shutil.copytree(source, target))
        return self._put(name, lambda target: shutil.copyfile(source, target))

    def put_bytes(self, content: bytes, name: str) -> Artifact:
        return self._put(name, lambda target: target.write_bytes(content))

    def _put(self, name: str, write: Callable[[Path], object]) -> Artifact:
        with self.partial() as partial:
            write(partial)
            artifact = new_artifact(name, *digest(partial))
            place = self.place(artifact.uri)
            if place.exists() and digest(place)[0] != artifact.sha256:
                self.remove(artifact.uri)
            self.show(partial, artifact.uri)
        return artifact

    def path(self, artifact: Artifact) -> Path:
        path = self._existing(artifact.uri)
        compare(artifact.uri, digest(path)[0], artifact.sha256)
        return path

    def find(self, uri: str) -> Path:
        path = self._existing(uri)
        compare(uri, self.digests.of(path), digits_of(uri))
        return path

    def require(self, uri: str) -> None:
        self._existing(uri)

    def check(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            writable = os.access(self.root, os.W_OK | os.X_OK)
        except OSError:
            writable = False
        if not writable:
            detail = f"Artifacts cannot be written to {self.root} (PLUMBLINE_ARTIFACTS_DIR)."
            raise ProblemError(503, "artifacts-not-writable", detail)

    def place(self, uri: str) -> Path:
        """Where it lies, or would."""
        return self.root / name_of(uri)

    @contextmanager
    def partial(self) -> Iterator[Path]:
        """A path that no reader sees, to write to and then to `show`; a full disk is the problem `disk-full`."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._remove_abandoned()
            with tempfile.TemporaryDirectory(dir=self.root, prefix=_PARTIAL) as folder:
                yield Path(folder) / "content"
        except OSError as error:
            if error.errno not in _FULL:
                raise
            detail = f"The artifact store {self.root} is full; make room there."
            raise ProblemError(503, "disk-full", detail, retry_after=30) from error

    def show(self, partial: Path, uri: str) -> None:
        """Make it visible, all of it at once, unless it already is."""
        target = self.place(uri)
        if not target.exists():
            try:
                partial.rename(target)
            except OSError:
                if not target.exists():  # another process stored the same content in between
                    raise

    def remove(self, uri: str) -> None:
        """Out of sight at once, then off the disk."""
        with tempfile.TemporaryDirectory(dir=self.root, prefix=_PARTIAL) as folder, suppress(FileNotFoundError):
            self.place(uri).rename(Path(folder) / "content")

    def _existing(self, uri: str) -> Path:
        path = self.place(uri)
        if not path.exists():
            raise unknown(uri)
        return path

    def _remove_abandoned(self) -> None:
        """What killed processes left half-written."""
        for folder in self.root.glob(f"{_PARTIAL}*"):
            with suppress(FileNotFoundError):
                if time.time() - folder.stat().st_mtime > _ABANDONED_S:
                    shutil.rmtree(folder, ignore_errors=True)
