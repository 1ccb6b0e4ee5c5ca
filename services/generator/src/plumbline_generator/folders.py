"""Where models lie: a folder that mirrors the hub, its cache, and the artifact store. Finding one needs no torch."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from huggingface_hub.constants import SAFETENSORS_INDEX_FILE, SAFETENSORS_SINGLE_FILE
from plumbline_contracts.generator import Model
from plumbline_contracts.weights import adapted_sha256
from plumbline_kit import artifacts, hub
from plumbline_kit.artifacts import SCHEME, ArtifactStore, open_store
from plumbline_kit.errors import ProblemError

from . import adapters
from .memory import context_length
from .settings import Settings


@dataclass(frozen=True)
class Base:
    """What an adapter goes over. `folder` is null where it is not known to be on this machine."""

    reference: str
    folder: Path | None


@dataclass(frozen=True)
class ModelFolder:
    """A model in a folder; with a `base` it is an adapter."""

    path: Path
    base: Base | None = None

    @property
    def main(self) -> Path:
        """The folder of whole weights, with config.json."""
        return self.path if self.base is None or self.base.folder is None else self.base.folder

    def state(self) -> artifacts.State:
        """As of `artifacts.state`: when it is the same, so are the weights."""
        below = () if self.base is None else artifacts.state(self.main)
        return artifacts.state(self.path) + below


def listed(name: str, model: ModelFolder, *, loaded: bool = False, sha256: str | None = None) -> Model:
    revision = hub.commit_of(model.path)
    return Model(
        name=name,
        loaded=loaded,
        source="artifact" if name.startswith(SCHEME) else "folder" if revision is None else "hub",
        revision=revision,
        base=None if model.base is None else model.base.reference,
        weights_sha256=sha256,
        context_length=context_length(model.main),
    )


class ModelFolders:
    """`may_have_more` when a model can come from elsewhere than the folders of this machine."""

    def __init__(self, models: Path, store: ArtifactStore, *, download: bool) -> None:
        self._models, self._store, self._download = models, store, download
        self._downloaded: dict[str, Path] = {}
        self.may_have_more = download or store.remote

    @classmethod
    def open(cls, config: Settings) -> Self:
        return cls(config.models_dir, open_store(config), download=config.hub)

    def find(self, reference: str) -> ModelFolder:
        """Where a model lies, downloaded if need be; else the problem `unknown-model` or `hub-unavailable`, also for
        an adapter's base, or `unusable-model` for an adapter that names none."""
        path = self._find(reference)
        if not adapters.is_adapter(path):
            return ModelFolder(path)
        try:
            name = adapters.base_reference(path)
        except ValueError as error:
            raise ProblemError(422, "unusable-model", f"{reference!r} cannot be loaded: {error}") from error
        return ModelFolder(path, Base(name, self._find_base(reference, name)))

    def _find_base(self, adapter: str, name: str) -> Path:
        try:
            path = self._find(name)
        except ProblemError as error:
            if error.kind != "unknown-model":
                raise
            advice = f" {adapters.CONFIG} may name another reference of it as base_model_name_or_path."
            detail = f"{adapter!r} is an adapter over {name!r}, which is not here. {error.detail}{advice}"
            raise ProblemError(422, "unknown-model", detail) from error
        if adapters.is_adapter(path):
            detail = f"{adapter!r} is an adapter over {name!r}, which is one itself; merge that into its base."
            raise ProblemError(422, "unusable-model", detail)
        return path

    def _find(self, reference: str) -> Path:
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

    def sha256(self, model: ModelFolder) -> str:
        """Of the weights, an adapter's with its base's; `digest-mismatch` where that is not what it was in training."""
        own = self._store.digests.of(model.path)
        if model.base is None:
            return own
        below = self._store.digests.of(model.main)
        try:
            expected = adapters.expected_base(model.path)
        except ValueError as error:
            raise ProblemError(422, "unusable-model", f"{model.path.name} cannot be loaded: {error}") from error
        if expected is not None:
            what = f"{model.base.reference!r}, over which the adapter {model.path.name} was trained,"
            artifacts.compare(what, below, expected)
        return adapted_sha256(own, below)

    def known_sha256(self, model: ModelFolder) -> str | None:
        """The same where it can be told without reading all weights."""
        own = self._store.digests.known(model.path)
        below = None if model.base is None else self._store.digests.known(model.main)
        return own if own is None or model.base is None else below and adapted_sha256(own, below)

    def check(self) -> None:
        """A problem with status 503 when no weights can be fetched. A shared folder may be read-only, or empty."""
        if self._store.remote:
            self._store.check()

    def available(self) -> dict[str, ModelFolder]:
        """Every model that needs no download, by its reference."""
        paths = {name: path for name, path in hub.cached().items() if _is_whole(path)} if self._download else {}
        paths |= {name: self._models / name for name in hub.names(self._models)}
        paths |= {SCHEME + path.name: path for path in sorted(self._store.root.glob("[!.]*"))}
        return {name: found for name, path in paths.items() if (found := _there(path, paths)) is not None}


def _is_whole(path: Path) -> bool:
    """Whether all weights are there: the cache has a folder from the moment that a download begins."""
    if any((path / name).is_file() for name in (SAFETENSORS_SINGLE_FILE, adapters.WEIGHTS)):
        return True
    try:
        shards = set(json.loads((path / SAFETENSORS_INDEX_FILE).read_bytes())["weight_map"].values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False
    return all((path / str(name)).is_file() for name in shards)


def _there(path: Path, others: dict[str, Path]) -> ModelFolder | None:
    if not adapters.is_adapter(path):
        return ModelFolder(path) if (path / "config.json").is_file() else None
    try:
        name = adapters.base_reference(path)
    except ValueError:
        return None
    return ModelFolder(path, Base(name, others.get(name)))
