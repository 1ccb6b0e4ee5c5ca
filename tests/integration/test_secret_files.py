"""Secrets as files: the token, and the database's password."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.postgresql import PostgreSQL, binary, query
from tests.stack import Stack

PASSWORD = "p@ss:w/rd%20 ü?#"


@pytest.fixture
def guarded() -> Iterator[str]:
    """The URL, without password, of a database that asks for one."""
    if binary("initdb") is None:
        pytest.skip("no PostgreSQL server here; Debian: apt-get install postgresql")
    with PostgreSQL() as server:
        url = server.create("plumbline")
        query(url, f"alter user plumbline password '{PASSWORD.replace('%', '%%')}'")
        rules = Path(server.folder) / "data" / "pg_hba.conf"
        rules.write_text(rules.read_text().replace("trust", "scram-sha-256"))
        server.stop()
        server.start()
        yield url


def test_the_coordinator_reads_its_secrets_from_files(guarded: str, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "plumbline_token").write_text("a-token\n")
    (secrets / "coordinator_database_password").write_text(PASSWORD + "\n")
    settings = {"COORDINATOR_DATABASE_URL": guarded, "PLUMBLINE_SECRETS_DIR": str(secrets)}
    with Stack(tmp_path / "home", settings, ["coordinator"]) as stack:
        url = f"{stack.url('coordinator')}/v1/experiments"
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers={"Authorization": "Bearer a-token"}).json()["experiments"] == []
        (secrets / "coordinator_database_password").write_text("wrong " + PASSWORD)
        stack.kill("coordinator")
        stack.start("coordinator")
        assert stack.processes["coordinator"].wait(120) != 0
        said = stack.log("coordinator")
        assert "password authentication failed" in said
        assert PASSWORD not in said and "p%40ss" not in said
