"""Where the model of a request lies on this machine."""

from pathlib import Path

from plumbline_kit import hub
from plumbline_kit.artifacts import SCHEME, ArtifactStore

from .settings import Plan


def find(reference: str, plan: Plan, store: ArtifactStore) -> Path:
    """The folder of a model; else the problem `unknown-artifact`, `unknown-model` or `hub-unavailable`."""
    if reference.startswith(SCHEME):
        return store.find(reference)
    return hub.locate(reference, plan.models_dir, "model", download=plan.hub)


def require(reference: str, plan: Plan, store: ArtifactStore) -> None:
    """The problem `unknown-artifact` or `unknown-model` when it is known to be nowhere; downloads nothing."""
    if reference.startswith(SCHEME):
        store.require(reference)
    elif not plan.hub or hub.local(reference, plan.models_dir):
        hub.locate(reference, plan.models_dir, "model", download=False)
