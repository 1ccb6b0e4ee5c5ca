"""The house rules as tests. A review remark made twice becomes one here."""

import ast
import importlib
import inspect
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.dependencies.models import Dependant
from plumbline_contracts import operations
from plumbline_contracts.experiment import ExperimentSpec
from plumbline_contracts.export import CONTRACTS, documents

from tests.record_examples import faults
from tests.services import SERVICES

ROOT = Path(__file__).resolve().parents[1]
SERVICE_NAMES = [line.name for line in SERVICES]


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for name in listed.stdout.splitlines() if (path := ROOT / name).is_file()]


def sources() -> list[Path]:
    return [path for path in tracked() if path.suffix == ".py"]


def application() -> list[Path]:
    return [path for path in sources() if "src" in path.parts and "migrations" not in path.parts]


def imported(path: Path) -> set[str]:
    """Modules that a file imports, with a relative import as ''."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def of_ours(modules: set[str], allowed: tuple[str, ...]) -> set[str]:
    ours = {module for module in modules if module.split(".")[0].startswith("plumbline")}
    return {module for module in ours if not module.startswith(allowed)}


def test_the_matrix_is_the_truth() -> None:
    folders = {path.parent.name for path in ROOT.glob("services/*/pyproject.toml")} - {"_kit"}
    makefile = re.search(r"^SERVICES := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert makefile is not None
    assert set(SERVICE_NAMES) == folders == {contract.NAME for contract in CONTRACTS} == set(makefile[1].split())


@pytest.mark.parametrize("name", SERVICE_NAMES)
def test_a_service_folder_is_complete(name: str) -> None:
    folder = ROOT / "services" / name
    package = folder / "src" / f"plumbline_{name}"
    for wanted in (folder / "README.md", folder / "requirements.lock", package / "py.typed", package / "__main__.py"):
        assert wanted.is_file(), f"{wanted.relative_to(ROOT)} is missing"
    assert list(folder.glob(f"tests/test_{name}_*.py"))
    assert len((package / "__main__.py").read_text().splitlines()) <= 60, "main only wires; logic goes elsewhere"


@pytest.mark.parametrize("name", SERVICE_NAMES)
def test_services_never_import_each_other(name: str) -> None:
    allowed = ("plumbline_contracts", "plumbline_kit", f"plumbline_{name}")
    for path in (ROOT / "services" / name).rglob("*.py"):
        assert not of_ours(imported(path), allowed), path


def test_the_kit_knows_no_contract_and_no_word_of_the_domain() -> None:
    contracts = (f"plumbline_contracts.{name}" for name in ("common", "operations", "export"))
    allowed = (*contracts, "plumbline_kit")
    words = re.compile(
        r"\b(judge|translat|generat(or|ion)|trainer|arm|rubric|response text|experiment)\w*", re.IGNORECASE
    )
    for path in (ROOT / "services" / "_kit" / "src").rglob("*.py"):
        assert not of_ours(imported(path), (*allowed, "plumbline_contracts")), path
        assert {one for one in of_ours(imported(path), allowed) if one != "plumbline_contracts"} == set(), path
        assert not words.search(path.read_text()), f"{path}: {words.search(path.read_text())}"


@pytest.mark.parametrize("name", SERVICE_NAMES)
def test_a_service_asks_for_the_parts_of_the_kit_that_it_uses(name: str) -> None:
    folder = ROOT / "services" / name
    modules = set[str]().union(*map(imported, (folder / "src").rglob("*.py")))
    parts = {"hub": "plumbline_kit.hub", "s3": "plumbline_kit.artifacts.open_store"}
    used = [extra for extra, module in parts.items() if module in modules]
    expected = f"plumbline-kit[{','.join(used)}]" if used else "plumbline-kit"
    assert expected in tomllib.loads((folder / "pyproject.toml").read_text())["project"]["dependencies"]


def test_contracts_import_no_service_and_conformance_nothing_of_ours() -> None:
    for path in (ROOT / "contracts" / "src").rglob("*.py"):
        assert not of_ours(imported(path), ("plumbline_contracts",)), path
    for path in (ROOT / "contracts" / "conformance" / "src").rglob("*.py"):
        assert not of_ours(imported(path), ("plumbline_conformance",)), path


def test_the_cli_imports_no_service() -> None:
    for path in (ROOT / "cli" / "src").rglob("*.py"):
        assert not of_ours(
            imported(path), ("plumbline_contracts", "plumbline_kit", "plumbline_conformance", "plumbline.")
        ) - {"plumbline"}, path


def test_files_are_short() -> None:
    for path in sources():
        assert len(path.read_text().splitlines()) <= 300, f"{path.relative_to(ROOT)} is over 300 lines"


def test_modules_say_what_they_are() -> None:
    for path in application():
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path.relative_to(ROOT)} has no docstring"


def test_no_vague_module_names() -> None:
    vague = {"utils.py", "helpers.py", "misc.py", "common.py"}
    assert [path for path in sources() if path.name in vague] == [ROOT / "contracts/src/plumbline_contracts/common.py"]


def test_test_files_have_names_of_their_own() -> None:
    names = [path.name for path in sources() if path.name.startswith("test_")]
    assert len(names) == len(set(names))


def test_nothing_acts_at_import() -> None:
    """A module may define, not do: no bare call at the top level of application code."""
    for path in application():
        for node in ast.parse(path.read_text()).body:
            is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
            registers = is_call and isinstance(node.value.func, ast.Call)  # app.command()(function)
            assert registers or not is_call, f"{path.relative_to(ROOT)}:{node.lineno} acts at import"


def test_no_machine_path_and_no_registry_in_any_file() -> None:
    # Written in pieces, so that this file does not contain what it looks for.
    forbidden = re.compile(
        "|".join(
            [
                "/" + "root/",
                "/" + "work/",
                "/opt/" + "wheels",
                "pypi" + r"\.org",
                "python" + "hosted",
                "registry" + r"\.npmjs",
            ]
        )
    )
    for path in tracked():
        if path.suffix not in {".png", ".svg"}:
            found = forbidden.search(path.read_text(encoding="utf-8"))
            assert found is None, f"{path.relative_to(ROOT)} contains {found and found.group()!r}"


def test_exported_documents_are_current() -> None:
    for name, content in documents().items():
        stored = json.loads((ROOT / "contracts" / "openapi" / name).read_text())
        assert stored == json.loads(json.dumps(content)), f"{name} is stale; run `make contracts`"


def test_every_operation_has_an_id_and_declares_its_problems() -> None:
    for contract in CONTRACTS:
        document = documents()[f"{contract.NAME}.v1.json"]
        assert document["openapi"].startswith("3.1")
        for path, methods in document["paths"].items():
            for operation in methods.values():
                assert re.fullmatch(r"[a-z_]+", operation["operationId"]), operation["operationId"]
                errors = {code: one for code, one in operation["responses"].items() if code[0] in "45"}
                assert path == "/livez" or {"401", "422", "500", "503"} <= set(errors), path
                assert all(list(one["content"]) == ["application/problem+json"] for one in errors.values()), path


def test_no_request_waits_for_a_thread() -> None:
    """FastAPI runs what is not async in a thread, which takes as long as reading a body of 64 items."""

    def calls(part: Dependant) -> list[Any]:
        return [part.call, *(call for below in part.dependencies for call in calls(below))]

    routes: list[Any] = [route for part in [*CONTRACTS, operations] for route in part.router.routes]
    found = [call for route in routes for call in calls(route.dependant)]
    assert len(found) > len(routes)
    assert not [call for call in found if not (inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call))]


def test_examples_validate() -> None:
    for contract in CONTRACTS:
        for model in vars(contract).values():
            extra = getattr(model, "model_config", {}).get("json_schema_extra") if isinstance(model, type) else None
            for example in (extra or {}).get("examples", []):
                model.model_validate(example)


def test_every_operation_and_schema_has_an_example_that_fits() -> None:
    found = {contract.NAME: faults(contract) for contract in CONTRACTS}
    assert not any(found.values()), f"run `make examples`, or write by hand what it cannot record: {found}"


def test_requests_refuse_unknown_fields_and_responses_have_no_defaults() -> None:
    common = importlib.import_module("plumbline_contracts.common")
    for contract in CONTRACTS:
        for model in vars(contract).values():
            if isinstance(model, type) and issubclass(model, common.Request):
                assert model.model_config["extra"] == "forbid", model
            elif isinstance(model, type) and issubclass(model, common.Response):
                assert all(field.is_required() for field in model.model_fields.values()), model


def test_experiment_files_have_the_form_of_an_experiment() -> None:
    for path in (ROOT / "experiments").glob("*.yaml"):
        ExperimentSpec.model_validate(yaml.safe_load(path.read_text()))


def test_the_makefile_has_its_targets_and_is_short() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for target in ["setup", "demo", "up", "down", "test", "lint", "contracts", "conform", "images", "help"]:
        assert re.search(rf"^  make .*\b{target}\b", shown, re.MULTILINE), f"`make` does not show {target}"
    assert len((ROOT / "Makefile").read_text().splitlines()) <= 100


def test_the_readme_has_its_first_command_within_a_dozen_lines() -> None:
    first = (ROOT / "README.md").read_text().splitlines()[:12]
    assert any(line.strip().startswith("make demo") for line in first)


def test_decisions_have_numbers_of_their_own() -> None:
    numbers = [int(path.name[:4]) for path in (ROOT / "docs" / "decisions").glob("*.md")]
    assert len(numbers) == len(set(numbers))
