"""compose.yaml without an engine: it has every service and setting, and no right that a service does not need."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from plumbline_contracts.export import CONTRACTS

from tests.services import SERVICES

ROOT = Path(__file__).resolve().parents[2]
NAMES = [line.name for line in SERVICES]
# Set by the images, or of no use in a container.
OF_THE_IMAGE = {
    "PLUMBLINE_HOST",
    "PLUMBLINE_ARTIFACTS_DIR",
    "TRANSLATOR_PACKAGES_DIR",
    "GENERATOR_MODELS_DIR",
    "GENERATOR_CANNED_FILE",
    "TRAINER_MODELS_DIR",
    "TRAINER_JOBS_DIR",
    "COORDINATOR_DATASETS_DIR",
    "COORDINATOR_EXECUTOR",
    *(f"{name.upper()}_PORT" for name in NAMES),
}
# Services that keep no artifact have no use for the store's settings.
NO_ARTIFACTS = ("translator", "judge")


def compose(name: str = "compose.yaml") -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / name).read_text()))


def settings_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("settings_script", ROOT / "scripts" / "settings.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_compose_has_the_services_of_the_matrix_and_their_ports() -> None:
    services = compose()["services"]
    assert set(services) == {*NAMES, "postgres"}
    for contract in CONTRACTS:
        dockerfile = (ROOT / "services" / contract.NAME / "Dockerfile").read_text()
        assert f"EXPOSE {contract.PORT}\n" in dockerfile
        if contract.NAME != "coordinator":
            address = services["coordinator"]["environment"][f"COORDINATOR_{contract.NAME.upper()}_URL"]
            assert f"http://{contract.NAME}:{contract.PORT}" in address


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_reaches_its_container(name: str) -> None:
    script = settings_script()
    known = script.variables(script.classes()[name])
    service = compose()["services"][name]
    secret = {variable for variable, field in known.items() if script.is_secret(field)}
    left_out = {
        one for one in known if name in NO_ARTIFACTS and one.startswith(("PLUMBLINE_S3_", "PLUMBLINE_ARTIFACTS_"))
    }
    passed = set(service["environment"]) - {"HF_TOKEN_PATH"}
    assert passed == set(known) - secret - OF_THE_IMAGE - left_out
    wanted = {variable.lower() for variable in secret - left_out}
    assert set(service["secrets"]) - {"hf_token"} == wanted


def test_the_list_of_settings_is_current() -> None:
    assert (ROOT / ".env.example").read_text() == settings_script().document(), "run `make contracts`"


def test_every_variable_of_the_compose_files_is_in_the_list_of_settings() -> None:
    documented = (ROOT / ".env.example").read_text()
    for path in [*ROOT.glob("compose*.yaml"), *ROOT.glob("examples/*/compose.yaml")]:
        text = path.read_text()
        used = {part.split("}")[0].split(":")[0] for part in text.split("${")[1:]}
        assert not {one for one in used if f"# {one}=" not in documented}, path.name


@pytest.mark.parametrize("name", [*NAMES, "postgres"])
def test_a_service_may_do_little(name: str) -> None:
    service = compose()["services"][name]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"] and "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] and service["mem_limit"]
    assert service["networks"] == (["services", "edge"] if name == "coordinator" else ["services"])
    assert ("ports" in service) == (name == "coordinator")


def test_only_loopback_is_published_and_the_network_is_internal() -> None:
    found = compose()
    assert found["services"]["coordinator"]["ports"] == ["${PLUMBLINE_BIND:-127.0.0.1}:${COORDINATOR_PORT:-8000}:8000"]
    assert found["networks"]["services"] == {"internal": True}


@pytest.mark.parametrize("name", NAMES)
def test_a_dockerfile_is_ordinary(name: str) -> None:
    text = (ROOT / "services" / name / "Dockerfile").read_text()
    stages = [line for line in text.splitlines() if line.startswith("FROM python")]
    assert stages == ["FROM python:3.11-slim AS build", "FROM python:3.11-slim"]
    assert "# syntax" not in text
    assert text.index("--require-hashes") < text.index("COPY contracts/src")
    last = text[text.index("FROM python:3.11-slim\n") :]
    assert "pip" not in last and "RUN" not in last
    assert "USER 10001:10001\n" in last and "HEALTHCHECK" in last and f'"plumbline_{name}"' in last


def test_the_gpu_file_reserves_devices_and_lets_vllm_generate() -> None:
    services = compose("compose.gpu.yaml")["services"]
    assert set(services) == {"generator", "trainer", "vllm"}
    for service in services.values():
        device = service["deploy"]["resources"]["reservations"]["devices"][0]
        assert device["driver"] == "nvidia" and device["capabilities"] == ["gpu"]
    for name in ("generator", "trainer"):
        assert services[name]["image"].endswith("-cuda") and services[name]["build"]["args"]["TORCH_BUILD"] == "cuda"
    asked = services["generator"]["environment"]
    assert (asked["GENERATOR_ENGINE"], asked["GENERATOR_BACKEND_URL"]) == ("openai", "http://vllm:8000/v1")
    assert "services" in services["vllm"]["networks"] and "ports" not in services["vllm"]
    assert services["vllm"]["cap_drop"] == ["ALL"] and services["vllm"]["mem_limit"]


def test_the_way_out_is_for_those_who_may_need_it_and_publishes_nothing() -> None:
    found = compose("compose.outbound.yaml")
    assert set(found["services"]) == {"generator", "trainer", "judge", "analyzer"}
    for service in found["services"].values():
        assert service["networks"] == ["services", "outbound"] and "ports" not in service
