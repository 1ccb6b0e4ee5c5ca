"""scripts/deploy.sh says what is wrong before it touches a cluster."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.manifests.rendering import ROOT
from tests.stack import free_port


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody whose cluster does not answer."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on the PATH")
    config = tmp_path / "kubeconfig"
    server = f"http://127.0.0.1:{free_port()}"
    config.write_text(
        f"apiVersion: v1\nkind: Config\nclusters: [{{name: gone, cluster: {{server: '{server}'}}}}]\n"
        "contexts: [{name: gone, context: {cluster: gone, user: me}}]\nusers: [{name: me}]\ncurrent-context: gone\n"
    )
    return {**os.environ, "KUBECONFIG": str(config)}


def run(script: str, *arguments: str, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    command = [str(ROOT / "scripts" / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.parametrize("arguments", [[], ["loacl"], ["k8s"]])
def test_an_unknown_overlay_is_answered_with_those_there_are(arguments: list[str], nowhere: dict[str, str]) -> None:
    answer = run("deploy.sh", *arguments, environment=nowhere)
    assert answer.returncode == 2
    assert "one of gpu local production, or a folder" in answer.stderr


def test_a_cluster_that_does_not_answer_is_named(nowhere: dict[str, str]) -> None:
    answer = run("deploy.sh", "local", environment=nowhere)
    assert answer.returncode == 3
    assert answer.stderr.startswith("No cluster answers: The connection to the server 127.0.0.1:")
    assert "KUBECONFIG" in answer.stderr and not answer.stdout


def test_without_kubectl_it_says_so(tmp_path: Path) -> None:
    for needed in ("bash", "dirname", "env"):
        (tmp_path / needed).symlink_to(str(shutil.which(needed)))
    answer = run("deploy.sh", "local", environment={"PATH": str(tmp_path)})
    assert answer.returncode == 3
    assert "no kubectl" in answer.stderr


def test_production_is_refused_while_it_names_examples(nowhere: dict[str, str]) -> None:
    answer = run("deploy.sh", "production", environment=nowhere)
    assert answer.returncode == 2
    for left in ("plumbline.example.com", "@postgres.example.com:5432", "registry.example.com/", "s3://example-bucket"):
        assert left in answer.stderr


def test_an_overlay_of_ones_own_is_a_folder(tmp_path: Path, nowhere: dict[str, str]) -> None:
    base = os.path.relpath(ROOT / "k8s" / "overlays" / "local", tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(f"resources: [{base}]\n")
    answer = run("deploy.sh", str(tmp_path), environment=nowhere)
    assert answer.returncode == 3, "it got as far as asking the cluster"


def test_models_need_a_deployed_plumbline(nowhere: dict[str, str]) -> None:
    answer = run("load-models.sh", environment=nowhere)
    assert answer.returncode == 3
    assert "make deploy OVERLAY=... first" in answer.stderr
