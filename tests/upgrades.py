"""A coordinator of an earlier version, in which an experiment is begun that ends under the present one."""

import os
import shutil
from pathlib import Path

import plumbline_coordinator
from plumbline_coordinator import database
from sqlalchemy import text

from tests.stack import Stack


def older(folder: Path) -> Path:
    """Where to import the coordinator from as a version with other steps would be."""
    package = folder / "older" / "plumbline_coordinator"
    shutil.copytree(Path(plumbline_coordinator.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    _replace(package / "takeover.py", 'FLOW_VERSION = "flow-', 'FLOW_VERSION = "older-')
    _replace(package / "workflows.py", "await prepare(id, attempt)", "[await prepare(id, attempt) for _ in range(2)]")
    return package.parent


def _replace(path: Path, old: str, new: str) -> None:
    source = path.read_text()
    assert old in source
    path.write_text(source.replace(old, new))


def restart(stack: Stack, code: Path | None = None) -> None:
    """kill -9 the coordinator, and start the one at `code`, by default the present one."""
    stack.kill("coordinator")
    present = stack.environment
    path = os.pathsep.join([str(code), os.environ.get("PYTHONPATH", "")])
    stack.environment = present if code is None else present | {"PYTHONPATH": path}
    stack.start("coordinator")
    stack.environment = present
    stack.wait_ready("coordinator")


def orders_of_steps(stack: Stack, id: str) -> set[str]:
    """Those under which the workflows of an experiment ran, without their numbers."""
    engine = database.connect(f"sqlite:///{stack.home}/coordinator.workflows.sqlite")
    query = text("select distinct application_version from workflow_status where workflow_uuid like :id")
    with engine.connect() as connection:
        found = {str(version).split("-")[0] for version in connection.scalars(query, {"id": f"{id}%"})}
    engine.dispose()
    return found
