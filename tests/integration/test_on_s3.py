"""Artifacts in a bucket, services that share no folder, and a bucket that is away for a while."""

from pathlib import Path
from typing import Any

import httpx
from plumbline_kit.artifacts import open_store
from plumbline_kit.settings import StoreSettings

from tests.model_free import write_spec
from tests.s3 import Line, S3Server, line_to_s3, s3_server  # noqa: F401  two are fixtures
from tests.services import MODEL_FREE
from tests.stack import Stack, wait_for

ITEMS = 6
UNAVAILABLE = "urn:plumbline:problem:artifact-store-unavailable"


class Apart(Stack):
    """Services on machines of their own, as far as files go: each has its own cache of the bucket."""

    def cache(self, name: str) -> Path:
        return self.home / "caches" / name

    def start(self, name: str) -> None:
        shared = self.environment
        self.environment = shared | {"PLUMBLINE_ARTIFACTS_DIR": str(self.cache(name))}
        super().start(name)
        self.environment = shared

    def ready(self, name: str) -> httpx.Response:
        return httpx.get(f"{self.url(name)}/readyz", timeout=30, trust_env=False)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def test_an_experiment_whose_bucket_is_away_for_a_while(s3: S3Server, line: Line, tmp_path: Path) -> None:
    spec = write_spec(tmp_path, ITEMS)
    settings = MODEL_FREE | s3.settings(line.port, "/outage") | {"TRAINER_DRY_RUN_S": "5"}
    with Apart(tmp_path / "home", settings) as stack:
        coordinator = stack.coordinator
        coordinator.submit("cut", spec).raise_for_status()
        wait_for(lambda: coordinator.phase("cut", "train")["state"] == "running", 120, "the training to run")
        wait_for(lambda: coordinator.phase("cut", "train")["done"] > 0, 120, "the training's first step")
        line.cut()
        for name in ("trainer", "analyzer"):
            answer = stack.ready(name)
            assert (answer.status_code, answer.json()["type"]) == (503, UNAVAILABLE)
            assert "s3://plumbline/outage" in answer.json()["detail"]
        assert stack.ready("coordinator").status_code == 200
        refused = coordinator.http.put("/v1/experiments/other", json=submission(spec))
        assert (refused.status_code, refused.json()["type"]) == (503, UNAVAILABLE)
        job = next((stack.home / "trainings").glob("cut.*"))
        wait_for(
            lambda: "waiting for the artifact store: The bucket" in (job / "log.txt").read_text(),
            60,
            "the training to wait",
        )
        assert coordinator.get("cut")["state"] == "running"
        line.mend()
        assert coordinator.finish("cut")["state"] == "completed"
        responses = coordinator.responses("cut")
        assert len(responses) == 3 * 3 * ITEMS
        assert all(one["missing"] is None for one in responses)
        assert coordinator.http.get("/v1/experiments/cut/report").text.startswith("<!doctype html>")
        moved_through_the_bucket(s3, stack)
        nothing_secret_is_written(s3, stack.home)


def submission(spec: Path) -> dict[str, Any]:
    """With files that are not in any cache, so that they must be looked for in the bucket."""
    unknown = {"uri": "artifact:file-0123456789abcdef", "sha256": "0" * 64, "bytes": 1}
    return {"spec": spec.read_text(), "source": spec.name, "files": {"items.jsonl": unknown, "rows.jsonl": unknown}}


def moved_through_the_bucket(s3: S3Server, stack: Apart) -> None:
    report = stack.coordinator.get("cut", "/results")["report"]["uri"].removeprefix("artifact:")
    rows = {name for name in names(stack.cache("trainer")) if name.startswith("rows-")}
    assert f"outage/files/{report}" in s3.objects()
    assert report in names(stack.cache("analyzer")) & names(stack.cache("coordinator"))
    assert rows and rows <= names(stack.cache("coordinator"))
    folders = {key.split("/")[-1] for key in s3.objects("outage/listings/")}
    weights = {name for name in folders if not name.startswith("report-folder-")}
    assert weights and weights <= names(stack.cache("trainer"))
    assert not weights & names(stack.cache("coordinator"))  # only whoever needs them has them


def nothing_secret_is_written(s3: S3Server, home: Path) -> None:
    files = [path for path in home.rglob("*") if path.is_file()]
    assert any(path.name == "plan.json" for path in files)
    assert [path for path in files if s3.secret_key.encode() in path.read_bytes()] == []


def test_the_generator_takes_weights_from_the_bucket(s3: S3Server, line: Line, tmp_path: Path, tinyworld: Path) -> None:
    models = tinyworld / "models"
    settings = s3.settings(line.port, "/weights")
    elsewhere = open_store(StoreSettings.model_validate(settings | {"PLUMBLINE_ARTIFACTS_DIR": str(tmp_path / "me")}))
    weights = elsewhere.put(models / "tinyworld-base", "weights")
    (tmp_path / "none").mkdir()
    with Apart(tmp_path / "home", settings | {"GENERATOR_MODELS_DIR": str(tmp_path / "none")}, ["generator"]) as stack:
        line.cut()
        refused = generate(stack, weights.uri)
        assert (refused.status_code, refused.json()["type"]) == (503, UNAVAILABLE)
        assert stack.ready("generator").json()["type"] == UNAVAILABLE
        line.mend()
        answer = generate(stack, weights.uri).raise_for_status().json()
        assert answer["weights_sha256"] == weights.sha256
        assert answer["generations"][0]["completion_tokens"] > 0
        cached = stack.cache("generator") / weights.uri.removeprefix("artifact:")
        line.cut()
        assert generate(stack, weights.uri).status_code == 200  # from memory and cache alone
        line.mend()
        with (cached / "model.safetensors").open("r+b") as file:
            file.seek(-4, 2)
            file.write(b"\x00\x00\xc0\x7f")
        assert generate(stack, weights.uri).json()["weights_sha256"] == weights.sha256
        unknown = generate(stack, "artifact:weights-0123456789abcdef")
        assert (unknown.status_code, unknown.json()["type"]) == (422, "urn:plumbline:problem:unknown-model")


def generate(stack: Stack, model: str) -> httpx.Response:
    body = {"model": model, "prefix": "", "prompts": [{"id": "1", "text": "Say 1."}], "decoding": {"max_new_tokens": 4}}
    return httpx.post(f"{stack.url('generator')}/v1/generations", json=body, timeout=120, trust_env=False)
