"""Models of the hub, downloaded by the service and found again without the hub."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from plumbline_contracts.generator import GenerationRequest
from plumbline_kit.artifacts import digest

from tests.hub import running
from tests.stack import wait_for

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


def test_who_asks_for_another_model_does_not_wait_for_a_download(
    run: Run, tiny_model: Path, ask: Callable[..., GenerationRequest], tmp_path: Path
) -> None:
    origin = shutil.copytree(tiny_model, tmp_path / "origin" / COMMIT)
    settings = {
        "GENERATOR_HUB": "true",
        "GENERATOR_MODELS_DIR": str(tiny_model.parent),
        "PLUMBLINE_ARTIFACTS_DIR": str(tmp_path / "artifacts"),
        "HF_HOME": str(tmp_path / "home"),
    }
    with ThreadPoolExecutor(64) as callers, running({"org/tiny": {"main": origin}}) as hub:
        service = run("-m", "plumbline_generator", **settings, HF_ENDPOINT=hub.address)

        def complete(model: str) -> int:
            return service.post("/v1/generations", json=ask("a", model=model).model_dump()).status_code

        hub.open.clear()
        many = 2 * (min(32, (os.cpu_count() or 1) + 4))  # more than the service has threads
        waiting = [callers.submit(complete, "org/tiny") for _ in range(many)]
        wait_for(
            lambda: any(line.startswith("GET") and "model.safetensors" in line for line in hub.asked),
            60,
            "the download",
        )
        assert complete("tiny") == 200
        assert service.get("/v1/models/identity", params={"model": "tiny"}).status_code == 200
        assert service.get("/readyz").status_code == 200
        assert {one["name"]: one["loaded"] for one in service.get("/v1/models").json()["models"]} == {"tiny": True}
        assert not any(one.done() for one in waiting)
        hub.open.set()
        assert [one.result() for one in waiting] == [200] * many
        listed = {one["name"]: one["loaded"] for one in service.get("/v1/models").json()["models"]}
    assert listed == {"tiny": True, "org/tiny": True}
