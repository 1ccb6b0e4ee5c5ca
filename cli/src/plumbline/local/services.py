"""Which services there are, where they listen, and the environment they start with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from plumbline_contracts import coordinator
from plumbline_contracts.export import CONTRACTS
from plumbline_kit.errors import ProblemError

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class LocalService:
    """A service as this machine would start it. `elsewhere`: the coordinator was given another address for it."""

    name: str
    host: str
    port: int
    elsewhere: str | None

    @property
    def module(self) -> str:
        return f"plumbline_{self.name}"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


def local_services(environment: Mapping[str, str]) -> list[LocalService]:
    """Every contract's service, the coordinator last."""
    listens = environment.get("PLUMBLINE_HOST", "127.0.0.1")
    host = "127.0.0.1" if listens in {"0.0.0.0", "::"} else listens  # noqa: S104 - compared, not listened on
    ports = {contract.NAME: _port(environment, contract.NAME, contract.PORT) for contract in CONTRACTS}
    return [
        LocalService(name, host, port, _elsewhere(environment.get(f"COORDINATOR_{name.upper()}_URL"), host, port))
        for name, port in ports.items()
    ]


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    variable = f"{name.upper()}_PORT"
    given = environment.get(variable, str(default))
    if not given.isdecimal() or not 0 < int(given) < 65536:
        raise ProblemError(422, "invalid-setting", f"{variable} is {given!r}; it must be a port, 1 to 65535.")
    return int(given)


def _elsewhere(url: str | None, host: str, port: int) -> str | None:
    if url is None:
        return None
    parts = urlsplit(url)
    same_host = parts.hostname == host or {parts.hostname, host} <= _LOOPBACK
    return None if same_host and parts.port == port else url


def environment_for(home: Path, urls: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """`given`, with the embedded defaults for what it leaves open: everything in files under `home`."""
    models = str(home / "models")
    defaults = {
        "PLUMBLINE_ARTIFACTS_DIR": str(home / "artifacts"),
        "TRANSLATOR_PACKAGES_DIR": str(home / "argos"),
        "GENERATOR_MODELS_DIR": models,
        "TRAINER_MODELS_DIR": models,
        "TRAINER_JOBS_DIR": str(home / "trainings"),
        "COORDINATOR_DATABASE_URL": f"sqlite:///{home / 'coordinator.sqlite'}",
        "COORDINATOR_DATASETS_DIR": str(home / "datasets"),
        # Idle threads of one service must not spin while another one computes.
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    addresses = {f"COORDINATOR_{name.upper()}_URL": url for name, url in urls.items() if name != coordinator.NAME}
    return defaults | addresses | dict(given)
