"""The database's password stays out of the URL's setting, of messages and of logs."""

import pytest
from plumbline_coordinator import database
from plumbline_coordinator.settings import Settings
from plumbline_kit import settings
from sqlalchemy import make_url

PASSWORD = "p@ss:w/rd%20 ü?#"
URL = "postgresql://plumbline@postgres:5432/plumbline"


def test_the_password_gets_into_both_urls_whatever_its_characters() -> None:
    config = Settings.model_validate({"database_url": URL, "database_password": PASSWORD})
    engine = database.connect(config.database)
    assert engine.url.password == make_url(database.workflow_database(config.database)).password == PASSWORD
    assert (engine.url.host, engine.url.username) == ("postgres", "plumbline")
    for text in (str(config.database), repr(engine), repr(config)):
        assert "p@ss" not in text and "p%40ss" not in text


def test_a_password_in_the_url_is_used_when_there_is_no_other() -> None:
    config = Settings.model_validate({"database_url": URL.replace("plumbline@", "plumbline:old@")})
    assert config.database.password == "old"
    both = Settings.model_validate({"database_url": config.database_url, "database_password": "new"})
    assert both.database.password == "new"


def test_a_file_needs_no_password() -> None:
    config = Settings.model_validate({"database_url": "sqlite:///var/x.sqlite", "database_password": PASSWORD})
    assert str(config.database) == "sqlite:///var/x.sqlite"


@pytest.mark.parametrize("url", ["mysql://plumbline:hidden@host/x", "plumbline:hidden@host", "://hidden"])
def test_another_kind_of_database_is_refused_without_showing_its_url(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COORDINATOR_DATABASE_URL", url)
    with pytest.raises(SystemExit) as caught:
        settings.load(Settings)
    said = capsys.readouterr().err
    assert caught.value.code == 2
    assert said.startswith("setting COORDINATOR_DATABASE_URL: ") and "must be" in said and "hidden" not in said
