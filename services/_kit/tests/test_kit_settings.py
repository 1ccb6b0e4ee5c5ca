"""Settings: variables, secret files, and what is refused at start."""

import os
from pathlib import Path

import pytest
from plumbline_kit import settings
from plumbline_kit.artifacts import open_store
from plumbline_kit.folder_store import FolderStore
from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict


class Own(settings.ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="OWN_")
    port: int = 1
    size: int = 2
    key: SecretStr | None = None
    names: dict[str, str] = {}


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith(("PLUMBLINE_", "OWN_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PLUMBLINE_SECRETS_DIR", str(tmp_path))
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        settings.load(Own)
    assert caught.value.code == 2
    return capsys.readouterr().err


def shown(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def test_settings_come_from_the_environment(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN_PORT", "8123")
    monkeypatch.setenv("PLUMBLINE_TOKEN", "not-to-be-shown")
    found = settings.load(Own)
    assert (found.port, found.host, found.grace_seconds) == (8123, "127.0.0.1", 10)
    assert "not-to-be-shown" not in repr(found)


def test_secrets_are_files_named_as_their_variables(secrets: Path) -> None:
    (secrets / "plumbline_token").write_text("from-file\n")
    (secrets / "own_key").write_text("  key with spaces \r\n\n")
    found = settings.load(Own)
    assert (shown(found.token), shown(found.key)) == ("from-file", "key with spaces")
    assert "from-file" not in repr(found)


def test_secrets_that_are_links_as_kubernetes_mounts_them_are_read(secrets: Path) -> None:
    (secrets / "..2026_01_01").mkdir()
    (secrets / "..2026_01_01" / "plumbline_token").write_text("linked")
    (secrets / "..data").symlink_to("..2026_01_01")
    (secrets / "plumbline_token").symlink_to("..data/plumbline_token")
    assert shown(settings.load(Own).token) == "linked"


def test_a_variable_beats_a_file(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (secrets / "plumbline_token").write_text("file")
    monkeypatch.setenv("PLUMBLINE_TOKEN", "variable")
    assert shown(settings.load(Own).token) == "variable"


def test_what_is_empty_is_not_set(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (secrets / "own_key").write_text("\n")
    (secrets / "plumbline_token").write_text("file")
    for name in ("PLUMBLINE_TOKEN", "OWN_SIZE", "PLUMBLINE_ARTIFACTS_URL"):
        monkeypatch.setenv(name, "")
    found = settings.load(Own)
    assert (shown(found.token), found.key, found.size, found.artifacts_url) == ("file", None, 2, None)


def test_without_a_folder_of_secrets_there_are_none(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLUMBLINE_SECRETS_DIR")
    assert settings.load(Own).key is None


def test_a_folder_of_secrets_that_is_named_must_be_there(
    secrets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLUMBLINE_SECRETS_DIR", str(secrets / "absent"))
    assert refused(capsys).startswith("setting PLUMBLINE_SECRETS_DIR: there is no folder ")


def test_a_secret_file_that_is_no_text_is_named(secrets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (secrets / "own_key").write_bytes(b"\xff\xfe")
    assert refused(capsys).startswith("setting OWN_KEY: its secret file is not UTF-8 text")


def test_a_secret_file_that_may_not_be_read_is_named(secrets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (secrets / "plumbline_token").write_text("secret")
    (secrets / "plumbline_token").chmod(0)
    if os.access(secrets / "plumbline_token", os.R_OK):
        pytest.skip("root reads every file")
    assert refused(capsys) == "setting PLUMBLINE_TOKEN: its secret file cannot be read: Permission denied\n"


def test_every_wrong_setting_is_named_by_its_variable(
    secrets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OWN_SIZE", "many")
    monkeypatch.setenv("PLUMBLINE_MAX_REQUEST_BYTES", "-1")
    said = refused(capsys)
    assert "setting OWN_SIZE: " in said and "setting PLUMBLINE_MAX_REQUEST_BYTES: " in said


def test_a_value_that_should_be_json_is_named(
    secrets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OWN_NAMES", "strict=http://127.0.0.1")
    assert refused(capsys).startswith("setting OWN_NAMES: ")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PLUMBLINE_ARTIFACTS_URL", "https://bucket"),
        ("PLUMBLINE_ARTIFACTS_URL", "s3://"),
        ("PLUMBLINE_ARTIFACTS_URL", "s3://Bucket_"),
        ("PLUMBLINE_ARTIFACTS_URL", "s3://bucket//prefix"),
        ("PLUMBLINE_ARTIFACTS_URL", "s3://bucket/a prefix"),
        ("PLUMBLINE_ARTIFACTS_URL", "s3://key:secret@bucket"),
        ("PLUMBLINE_S3_ENDPOINT", "minio:9000"),
    ],
)
def test_a_place_for_artifacts_that_cannot_be_is_refused(
    secrets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    said = refused(capsys)
    assert said.startswith(f"setting {variable}: ") and "must be" in said and "secret" not in said


def test_one_key_without_the_other_is_refused(secrets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (secrets / "plumbline_s3_access_key_id").write_text("id")
    said = refused(capsys)
    assert "PLUMBLINE_S3_ACCESS_KEY_ID" in said and "PLUMBLINE_S3_SECRET_ACCESS_KEY" in said


def test_the_url_chooses_the_store(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_ARTIFACTS_DIR", str(secrets / "artifacts"))
    folder = open_store(settings.load(Own))
    assert isinstance(folder, FolderStore) and not folder.remote
    for url in ("s3://bucket", "s3://bucket/", "s3://a.bucket-1/some/pre.fix_1/"):
        monkeypatch.setenv("PLUMBLINE_ARTIFACTS_URL", url)
        store = open_store(settings.load(Own))
        assert store.remote and store.root == folder.root
