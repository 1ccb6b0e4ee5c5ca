"""Artifacts, hub folders and settings."""

import errno
import hashlib
import subprocess
from pathlib import Path

import pytest
from plumbline_contracts.common import Artifact
from plumbline_kit import hub, settings
from plumbline_kit.artifacts import ArtifactStore, digest
from plumbline_kit.errors import ProblemError
from pydantic_settings import SettingsConfigDict


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "made"
    (made / "sub").mkdir(parents=True)
    (made / "b.txt").write_text("b")
    (made / "sub" / "a.txt").write_text("a")
    return made


def test_an_artifact_is_named_by_its_content_and_repeating_is_harmless(tmp_path: Path, folder: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    first, second = store.put(folder, "weights"), store.put(folder, "weights")
    assert first == second
    assert first.uri == f"artifact:weights-{first.sha256[:16]}"
    assert first.bytes == 2
    assert (store.path(first) / "sub" / "a.txt").read_text() == "a"
    assert [path.name for path in store.root.iterdir()] == [first.uri.removeprefix("artifact:")]


def test_the_digest_of_a_folder_can_be_recomputed_with_sha256sum(folder: Path) -> None:
    listing = subprocess.run(["sha256sum", "b.txt", "sub/a.txt"], cwd=folder, capture_output=True, check=True).stdout
    assert digest(folder) == (hashlib.sha256(listing).hexdigest(), 2)


def test_changed_content_is_found_on_read(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    artifact = store.put_bytes(b"content", "file")
    store.find(artifact.uri).write_bytes(b"changed")
    with pytest.raises(ProblemError) as caught:
        store.path(artifact)
    assert caught.value.kind == "digest-mismatch"


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    with pytest.raises(FileNotFoundError):
        store.put(tmp_path / "absent", "file")
    assert list(store.root.iterdir()) == []


@pytest.mark.parametrize(
    "uri", ["artifact:../secret", "artifact:/etc/passwd", "artifact:.hidden", "artifact:", "file:x"]
)
def test_no_uri_leaves_the_store(tmp_path: Path, uri: str) -> None:
    with pytest.raises(ProblemError) as caught:
        ArtifactStore(tmp_path).find(uri)
    assert caught.value.kind == "invalid-artifact"


def test_a_full_disk_is_a_problem_that_may_pass(tmp_path: Path) -> None:
    def write(_: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ProblemError) as caught:
        ArtifactStore(tmp_path)._put("file", write)
    assert (caught.value.status, caught.value.kind) == (503, "disk-full")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_artifact_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        ArtifactStore(tmp_path).path(Artifact(uri="artifact:none", sha256="0" * 64, bytes=0))
    assert caught.value.kind == "unknown-artifact"


def test_a_local_folder_stands_for_a_hub_repository(tmp_path: Path) -> None:
    for name in ("org/model", "org/model@v2", "plain"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
    for name in ("org/model", "org/model@v2", "plain"):
        assert hub.locate(name, tmp_path, "model", download=False) == tmp_path / name
    assert hub.names(tmp_path) == ["org/model", "org/model@v2", "plain"]


@pytest.mark.parametrize("reference", ["org/other", "../plain", "org/../plain", "/etc", "a/b/c"])
def test_what_is_not_there_is_a_problem_that_says_what_is(tmp_path: Path, reference: str) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "config.json").write_text("{}")
    with pytest.raises(ProblemError) as caught:
        hub.locate(reference, tmp_path, "model", download=False)
    assert caught.value.kind == "unknown-model"
    assert "plain" in caught.value.detail


class Own(settings.ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="OWN_")
    port: int = 1
    size: int = 2


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN_PORT", "8123")
    monkeypatch.setenv("PLUMBLINE_TOKEN", "secret")
    found = settings.load(Own)
    assert (found.port, found.host) == (8123, "127.0.0.1")
    assert "secret" not in repr(found)


def test_a_wrong_setting_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OWN_SIZE", "many")
    monkeypatch.setenv("PLUMBLINE_MAX_REQUEST_BYTES", "-1")
    with pytest.raises(SystemExit) as caught:
        settings.load(Own)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "setting OWN_SIZE: " in said and "setting PLUMBLINE_MAX_REQUEST_BYTES: " in said
