"""Models of the inference server are asked there; all others run here, and torch comes when it is needed."""

from pathlib import Path
from shutil import copytree

import pytest
from plumbline_kit.folder_store import FolderStore

from .conftest import Process, Run
from .inference_server import MODEL
from .test_generator_openai import before, behave, generations, post, problem


@pytest.fixture(scope="module")
def server(inference_server: Run) -> Process:
    return inference_server()


def has_torch(service: Process) -> bool:
    return "libtorch" in Path(f"/proc/{service.process.pid}/maps").read_text()


def test_torch_comes_with_the_first_model_that_the_server_does_not_have(
    server: Process, serve: Run, tiny_model: Path
) -> None:
    service = before(server, serve, MODELS_DIR=tiny_model.parent)
    listed = {MODEL: True, "tiny": False}
    assert {one["name"]: one["loaded"] for one in service.get("/v1/models").json()["models"]} == listed
    assert generations(service, "one")[0]["finish_reason"] == "length"
    unknown = post(service, "one", model="nope")
    assert problem(unknown) == (422, "unknown-model")
    assert "tiny" in unknown.json()["detail"] and MODEL in unknown.json()["detail"]
    there = service.get("/v1/models/identity", params={"model": MODEL}).json()
    assert (there["weights_sha256"], there["source"]) == (None, f"{server.base_url}/v1")
    assert there["engine"].startswith("openai:")
    assert not has_torch(service)
    answer = post(service, "one", model="tiny").json()
    assert has_torch(service)
    assert (answer["engine"], len(answer["weights_sha256"])) == ("transformers", 64)
    here = service.get("/v1/models/identity", params={"model": "tiny"}).json()
    assert {name: answer[name] for name in here if name != "source"} | {"source": None} == here
    assert {one["name"]: one["loaded"] for one in service.get("/v1/models").json()["models"]} == {
        MODEL: True,
        "tiny": True,
    }


def test_trained_weights_need_no_server(inference_server: Run, serve: Run, tiny_model: Path) -> None:
    server = inference_server()
    service = before(server, serve)
    artifact = FolderStore(Path(service.environment["PLUMBLINE_ARTIFACTS_DIR"])).put(tiny_model, "dpo").uri
    server.kill()
    [here] = generations(service, "one", model=artifact)
    assert (here["finish_reason"], here["completion_tokens"]) == ("length", 24)
    assert problem(post(service, "one", model="tiny")) == (503, "backend-unavailable")
    assert problem(service.get("/v1/models")) == (503, "backend-unavailable")


def test_a_model_that_the_server_has_no_more_is_not_run_here_instead(
    inference_server: Run, serve: Run, tiny_model: Path, tmp_path: Path
) -> None:
    copytree(tiny_model, tmp_path / MODEL)
    server = inference_server()
    service = before(server, serve, MODELS_DIR=tmp_path)
    there = generations(service, "one")
    behave(server, "another_model")
    answer = post(service, "one")
    assert problem(answer) == (503, "backend-unavailable") and "retry-after" in answer.headers
    assert MODEL in answer.json()["detail"] and "org/another" in answer.json()["detail"]
    assert [one["name"] for one in service.get("/v1/models").json()["models"]] == ["org/another"]
    behave(server, "ok")
    assert generations(service, "one") == there


def test_an_artifact_store_that_is_away_is_told_with_its_time_to_wait(server: Process, run: Run) -> None:
    nobody = "http://127.0.0.1:9"
    service = run(
        *("-m", "plumbline_generator"),
        GENERATOR_ENGINE="openai",
        GENERATOR_BACKEND_URL=f"{server.base_url}/v1",
        PLUMBLINE_ARTIFACTS_URL="s3://artifacts",
        PLUMBLINE_S3_ENDPOINT=nobody,
        PLUMBLINE_S3_ACCESS_KEY_ID="key",
        PLUMBLINE_S3_SECRET_ACCESS_KEY="secret",
    )
    answer = post(service, "one", model="artifact:dpo-0123456789abcdef")
    assert problem(answer) == (503, "artifact-store-unavailable")
    assert "retry-after" in answer.headers and not has_torch(service)
