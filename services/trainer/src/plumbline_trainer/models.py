"""Where the model of a request lies on this machine."""

from pathlib import Path

from plumbline_kit import hub
from plumbline_kit.artifacts import SCHEME, ArtifactStore

from .settings import Plan


def find(reference: str, plan: Plan) -> Path:
    """The folder of a model; else the problem `unknown-artifact` or `unknown-model`."""
    if reference.startswith(SCHEME):
        return ArtifactStore(plan.artifacts_dir).find(reference)
    return hub.locate(reference, plan.models_dir, "model", download=plan.hub)
