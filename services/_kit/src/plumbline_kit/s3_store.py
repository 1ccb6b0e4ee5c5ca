"""Artifacts in a bucket, with a folder of this machine as cache.

files/NAME            a file
folders/NAME/PATH     the files of a folder
listings/NAME         its `sha256sum` listing, written last: without it there is no folder
"""

import hashlib
import logging
from collections.abc import Callable
from functools import cached_property
from pathlib import Path, PurePosixPath

from plumbline_contracts.common import Artifact

from .artifacts import ArtifactStore, compare, digest, digits_of, files, listing, name_of, unknown
from .bucket import Bucket
from .errors import ProblemError
from .folder_store import FolderStore
from .settings import StoreSettings

log = logging.getLogger(__name__)


class S3Store(ArtifactStore):
    remote = True

    def __init__(self, cache: FolderStore, settings: StoreSettings) -> None:
        super().__init__(cache.root, cache.digests)
        self._cache, self._settings = cache, settings

    @cached_property
    def _bucket(self) -> Bucket:
        return Bucket(self._settings)

    def put(self, source: Path, name: str) -> Artifact:
        return self._upload(self._cache.put(source, name))

    def put_bytes(self, content: bytes, name: str) -> Artifact:
        return self._upload(self._cache.put_bytes(content, name))

    def path(self, artifact: Artifact) -> Path:
        return self._fetch(artifact.uri, artifact.sha256, lambda: self._cache.path(artifact))

    def find(self, uri: str) -> Path:
        return self._fetch(uri, digits_of(uri), lambda: self._cache.find(uri))

    def require(self, uri: str) -> None:
        keys = (f"{kind}/{name_of(uri)}" for kind in ("files", "listings"))
        if not self._cache.place(uri).exists() and not any(map(self._bucket.has, keys)):
            self._bucket.check()  # when the bucket is not there, nothing is
            raise unknown(uri)

    def check(self) -> None:
        self._cache.check()
        self._bucket.check()

    def _upload(self, artifact: Artifact) -> Artifact:
        name, path = name_of(artifact.uri), self._cache.place(artifact.uri)
        if path.is_dir():
            if not self._bucket.has(f"listings/{name}"):
                self._upload_folder(name, path)
        elif not self._bucket.has(f"files/{name}"):
            self._bucket.put(f"files/{name}", path)
        return artifact

    def _upload_folder(self, name: str, path: Path) -> None:
        there = self._bucket.sizes(f"folders/{name}")  # by an upload that was broken off
        for relative, file in files(path):
            key = f"folders/{name}/{relative}"
            if there.get(key) != file.stat().st_size:
                self._bucket.put(key, file)
        self._bucket.put(f"listings/{name}", listing(path).encode())

    def _fetch(self, uri: str, expected: str, look: Callable[[], Path]) -> Path:
        """What the cache has, or else the bucket."""
        try:
            return look()
        except ProblemError as error:
            if error.kind == "digest-mismatch" and not self._is_intact(uri):
                log.warning("fetched anew, because the cache was damaged: %s", error.detail)
                self._cache.remove(uri)
            elif error.kind != "unknown-artifact":
                raise
        with self._cache.partial() as partial:
            self._download(uri, expected, partial)
            self._cache.show(partial, uri)
        return self._cache.place(uri)

    def _is_intact(self, uri: str) -> bool:
        """Then it is the caller who expects something else."""
        return digest(self._cache.place(uri))[0].startswith(digits_of(uri))

    def _download(self, uri: str, expected: str, target: Path) -> None:
        name = name_of(uri)
        try:
            lines = b"".join(self._bucket.chunks(f"listings/{name}"))
        except FileNotFoundError:
            try:
                self._download_file(f"files/{name}", target, expected, uri)
            except FileNotFoundError as error:
                self._bucket.check()
                raise unknown(uri) from error
        else:
            compare(f"The listing of {uri} in the bucket", hashlib.sha256(lines).hexdigest(), expected)
            self._download_folder(uri, lines.decode(), target)

    def _download_folder(self, uri: str, lines: str, target: Path) -> None:
        target.mkdir()
        for line in lines.split("\n")[:-1]:
            sha256, _, relative = line.partition("  ")
            if relative.startswith("/") or ".." in PurePosixPath(relative).parts:
                raise ProblemError(422, "invalid-artifact", f"{uri} lists a file outside of itself: {relative!r}.")
            what = f"The file {relative} of {uri}"
            try:
                self._download_file(f"folders/{name_of(uri)}/{relative}", target / relative, sha256, what)
            except FileNotFoundError as error:
                raise ProblemError(422, "digest-mismatch", f"{what} is missing in the bucket.") from error

    def _download_file(self, key: str, target: Path, expected: str, what: str) -> None:
        sha256 = hashlib.sha256()
        chunks = self._bucket.chunks(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            for chunk in chunks:
                sha256.update(chunk)
                file.write(chunk)
        compare(f"{what} in the bucket", sha256.hexdigest(), expected)
