"""The coordinator on PostgreSQL, as in a deployment: the same experiment, killed in the middle."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.model_free import write_spec
from tests.services import MODEL_FREE
from tests.stack import Stack, free_port, wait_for

ITEMS = 12


def binary(name: str) -> str | None:
    """Debian keeps the server's programs outside of the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (str(found[-1]) if found else None)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """URL of a server of our own on a free port of this machine."""
    if binary("initdb") is None:
        pytest.skip("no PostgreSQL server here; Debian: apt-get install postgresql")
    port = free_port()
    # The server refuses to run as root; its folder must be one that its user can reach.
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    with tempfile.TemporaryDirectory(prefix="plumbline-postgresql-") as folder:
        data = f"{folder}/data"
        if os.geteuid() == 0:
            shutil.chown(folder, user)

        def run(name: str, *arguments: str) -> None:
            command = [str(binary(name)), *arguments]
            subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)

        run("initdb", "-D", data, "-U", "plumbline", "--auth=trust", "-E", "UTF8")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        run("pg_ctl", "-D", data, "-o", options, "-l", f"{folder}/log", "-w", "start")
        try:
            run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "plumbline", "plumbline")
            yield f"postgresql://plumbline@127.0.0.1:{port}/plumbline"
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "stop")


def test_an_experiment_survives_kills_on_postgresql(postgresql: str, tmp_path: Path) -> None:
    spec = write_spec(tmp_path, ITEMS)
    settings = MODEL_FREE | {"COORDINATOR_DATABASE_URL": postgresql, "COORDINATOR_BATCH_SIZE": "4"}
    with Stack(tmp_path / "home", settings) as stack:
        for id in ("undisturbed", "killed"):
            stack.coordinator.submit(id, spec).raise_for_status()
            if id == "killed":
                for phase in ("generate", "judge"):
                    wait_for(lambda: stack.coordinator.phase("killed", phase)["done"] > 0, 120, phase)  # noqa: B023
                    stack.kill("coordinator")
                    stack.start("coordinator")
                    stack.wait_ready("coordinator")
            assert stack.coordinator.finish(id)["state"] == "completed"
        records = stack.coordinator.responses("killed")
        assert len(records) == 3 * 3 * ITEMS
        assert records == stack.coordinator.responses("undisturbed")
        assert stack.coordinator.http.get("/info").json()["implementation"] == "dbos-postgresql"
