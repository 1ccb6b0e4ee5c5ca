"""Models of the hub, downloaded by the service and found again without the hub."""

import shutil
from collections.abc import Callable
from pathlib import Path

from plumbline_contracts.generator import GenerationRequest
from plumbline_kit.artifacts import digest

from tests.hub import running

from .conftest import Run

COMMIT = "c" * 40


def test_a_downloaded_model_is_listed_with_its_commit_and_completes_offline(
    run: Run, tiny_model: Path, ask: Callable[..., GenerationRequest], tmp_path: Path
) -> None:
    origin = shutil.copytree(tiny_model, tmp_path / "origin" / COMMIT)
    (tmp_path / "models").mkdir()
    settings = {
        "GENERATOR_HUB": "true",
        "GENERATOR_MODELS_DIR": str(tmp_path / "models"),
        "PLUMBLINE_ARTIFACTS_DIR": str(tmp_path / "artifacts"),
        "HF_HOME": str(tmp_path / "home"),
    }
    with running({"org/tiny": {"main": origin, "v1": origin}}) as hub:
        online = run("-m", "plumbline_generator", **settings, HF_ENDPOINT=hub.address)
        assert online.get("/v1/models").json()["models"] == []
        found = online.get("/v1/models/identity", params={"model": "org/tiny@v1"}).json()
        assert found["weights_sha256"] == digest(origin)[0]
        online.process.terminate()

    offline = run("-m", "plumbline_generator", **settings, HF_HUB_OFFLINE="1")
    answer = offline.post("/v1/generations", json=ask("a", model="org/tiny@v1").model_dump())
    assert answer.json()["weights_sha256"] == digest(origin)[0]
    [listed] = offline.get("/v1/models").json()["models"]
    told = {"name": "org/tiny@v1", "loaded": True, "source": "hub", "revision": COMMIT}
    assert {name: listed[name] for name in told} == told
    assert listed["weights_sha256"] == digest(origin)[0]
