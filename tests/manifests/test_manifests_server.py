"""A real API server refuses what schemas let pass. With KUBECONFIG set, it is asked about every overlay."""

import os
import subprocess
import uuid
from collections.abc import Iterator

import pytest
import yaml

from tests.manifests.rendering import NAMESPACE, Manifest
from tests.manifests.variants import VARIANTS, manifest_of

if not os.environ.get("KUBECONFIG"):
    pytest.skip("KUBECONFIG is not set: no API server is asked for a dry run", allow_module_level=True)


def kubectl(*arguments: str, given: str | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["kubectl", *arguments], input=given, capture_output=True, text=True)


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    """A real one with our labels, since a dry run neither makes one nor asks its pod security otherwise."""
    name = f"{NAMESPACE}-dry-run-{uuid.uuid4().hex[:8]}"
    labels = manifest_of("local").find(f"Namespace/{NAMESPACE}")["metadata"]["labels"]
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    answer = kubectl("create", "--filename", "-", given=yaml.safe_dump(made))
    assert answer.returncode == 0, answer.stderr
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_api_server_takes_the_overlay(variant: str, namespace: str) -> None:
    manifest = manifest_of(variant)
    text = yaml.safe_dump_all(_moved(manifest, namespace))
    answer = kubectl("apply", "--dry-run=server", "--validate=strict", "--filename", "-", given=text)
    assert answer.returncode == 0, answer.stderr
    assert "Warning" not in answer.stderr, answer.stderr
    assert len(answer.stdout.splitlines()) == len(manifest.objects) - 1


def _moved(manifest: Manifest, namespace: str) -> Iterator[dict[str, object]]:
    for one in manifest.objects:
        if one["kind"] != "Namespace":
            one["metadata"]["namespace"] = namespace
            yield one
