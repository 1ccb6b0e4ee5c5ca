"""What is examined: the overlays, and combinations of components that docs/deploying.md offers."""

from copy import deepcopy
from functools import cache

import pytest

from tests.manifests.rendering import K8S, ROOT, Manifest, combined, parsed, rendered, renderer

OVERLAYS = {folder.name: folder for folder in sorted(K8S.glob("overlays/*"))}
MINIMAL_JUDGE = ROOT / "examples" / "minimal-judge" / "k8s"
if MINIMAL_JUDGE.is_dir():
    OVERLAYS["minimal-judge"] = MINIMAL_JUDGE
JUDGE = ("JUDGE_BACKEND_URL=https://llm.example.net/v1", "JUDGE_MODEL=some-model")
COMBINATIONS = {
    "sqlite": ("base", ("artifacts-folder", "sqlite"), ()),
    "judge-generator": ("base", ("artifacts-folder", "sqlite", "judge-generator"), ("JUDGE_MODEL=some-model",)),
    "local-open": ("overlays/local", ("hub", "judge-llm", "monitoring"), JUDGE),
    "production-gpu": ("overlays/production", ("hub", "gpu", "judge-llm", "monitoring"), JUDGE),
}
VARIANTS = [*OVERLAYS, *COMBINATIONS]


@cache
def text_of(variant: str) -> str:
    if renderer() is None:
        pytest.skip("neither kubectl nor kustomize is on the PATH")
    return rendered(OVERLAYS[variant]) if variant in OVERLAYS else combined(*COMBINATIONS[variant])


@cache
def _parsed(variant: str) -> Manifest:
    return parsed(text_of(variant))


def manifest_of(variant: str) -> Manifest:
    """A new copy, which a test may change."""
    return deepcopy(_parsed(variant))
