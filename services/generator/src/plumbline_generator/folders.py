"""Where models lie: a folder that mirrors the hub, and the artifact store. Finding one needs no torch."""

from pathlib import Path
from typing import Self

from plumbline_contracts.generator import Model
from plumbline_kit import hub
from plumbline_kit.artifacts import SCHEME, ArtifactStore, open_store
from plumbline_kit.errors import ProblemError

from .memory import context_length
from .settings import Settings


def listed(name: str, folder: Path, *, loaded: bool = False, sha256: str | None = None) -> Model:
    revision = hub.commit_of(folder)
    source = "artifact" if name.startswith(SCHEME) else "folder" if revision is None else "hub"
    longest = context_length(folder)
    return Model(
        name=name, loaded=loaded, source=source, revision=revision, weights_sha256=sha256, context_length=longest
    )


class ModelFolders:
    """`may_have_more` when a model can come from elsewhere than the folders of this machine."""

    def __init__(self, models: Path, store: ArtifactStore, *, download: bool) -> None:
        self._models, self._store, self._download = models, store, download
        self._downloaded: dict[str, Path] = {}
        self.may_have_more = download or store.remote
        self.digests = store.digests

    @classmethod
    def open(cls, config: Settings) -> Self:
        return cls(config.models_dir, open_store(config), download=config.hub)

    def find(self, reference: str) -> Path:
        """The folder of a model, downloaded if need be; else the problem `unknown-model`."""
        if not reference.startswith(SCHEME):
            if reference not in self._downloaded:
                folder = hub.locate(reference, self._models, "model", download=self._download)
                if folder.is_relative_to(self._models):
                    return folder
                self._downloaded[reference] = folder  # one revision for as long as the service runs
            return self._downloaded[reference]
        try:
            return self._store.find(reference)
        except ProblemError as error:
            if error.kind not in ("unknown-artifact", "invalid-artifact"):
                raise
            have = ", ".join(self.available()) or "none"
            raise ProblemError(422, "unknown-model", f"{error.detail} The models here: {have}.") from error

    def check(self) -> None:
        """A problem with status 503 when no weights can be fetched. A shared folder may be read-only, or empty."""
        if self._store.remote:
            self._store.check()

    def available(self) -> dict[str, Path]:
        """The folder of every model that needs no download, by its reference."""
        folders = hub.cached() if self._download else {}
        folders |= {name: self._models / name for name in hub.names(self._models)}
        folders |= {SCHEME + folder.name: folder for folder in sorted(self._store.root.glob("[!.]*"))}
        return {name: folder for name, folder in folders.items() if (folder / "config.json").is_file()}
