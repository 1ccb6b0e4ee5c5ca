"""What compose is run with, and what is refused before it runs."""

import ipaddress
import json
import secrets
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
COMPOSE = ["docker", "compose"]
PASSWORD = "coordinator_database_password"  # noqa: S105 - a name
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
# Settings that make a service reach out of the internal network.
HUB = ("GENERATOR_HUB", "TRAINER_HUB")
OUTBOUND = ("JUDGE_BACKEND_URL", "GENERATOR_BACKEND_URL", "PLUMBLINE_ARTIFACTS_URL", *HUB)
SERVICES = ("TRANSLATOR", "GENERATOR", "TRAINER", "JUDGE", "ANALYZER")


class Refused(Exception):
    """Why the stack cannot be started as it is set, and what to do."""


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """What compose is run with: the settings, the files that they ask for, and where torch comes from."""
    files = (given.get("COMPOSE_FILE") or "compose.yaml").split(":")
    found = dict(given)
    if "compose.gpu.yaml" not in files:  # pip's own settings are about the CPU build
        links = Path(given.get("PIP_FIND_LINKS") or ROOT / "var/wheels")
        if not given.get("TORCH_WHEELS") and any(links.glob("torch-2.13.0*.whl")):
            found["TORCH_WHEELS"] = str(links.resolve())
        if not given.get("TORCH_INDEX_URL"):
            found["TORCH_INDEX_URL"] = given.get("PIP_EXTRA_INDEX_URL", "")
    if any(_is_set(given, name) for name in OUTBOUND):
        files += ["compose.outbound.yaml"] if "compose.outbound.yaml" not in files else []
    for folder in ("var/wheels", "var/datasets", "var/rubrics"):
        (ROOT / folder).mkdir(parents=True, exist_ok=True)
    return found | {"COMPOSE_FILE": ":".join(files)}


def _is_set(given: Mapping[str, str], name: str) -> bool:
    return given.get(name, "").lower() not in ("", "false", "0", "no")


def compose(*arguments: str, env: Mapping[str, str], **options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*COMPOSE, *arguments], cwd=ROOT, env=dict(env), text=True, **options)  # type: ignore[call-overload,no-any-return]


def resolved(env: Mapping[str, str]) -> dict[str, Any]:
    """The files as compose understands them; a setting that it misses is refused in its own words."""
    answer = compose("config", "--format", "json", env=env, capture_output=True)
    if answer.returncode != 0:
        raise Refused(answer.stderr.strip())
    return dict(json.loads(answer.stdout))


def make_secrets(config: Mapping[str, Any]) -> None:
    """The files that are not there yet: a random password of the database, and empty ones, which mean `none`."""
    for name, secret in config["secrets"].items():
        file = Path(secret["file"])
        if file.exists():
            continue
        database = f"{config['name']}_database"
        if name == PASSWORD and database in volumes(config["name"]):
            raise Refused(
                f"{file} is gone, and the volume {database} needs the password that was in it. "
                "Bring the file back, or remove all data with `make clean`."
            )
        # Only the folder keeps others out: the service reads the file as a user of its own.
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.write_text(secrets.token_urlsafe(24) if name == PASSWORD else "")
        file.chmod(0o644)


def to_build(config: Mapping[str, Any], env: Mapping[str, str]) -> list[str]:
    """The services whose images can be built: without a source of torch, what needs it stays as it is."""
    built = [name for name, service in config["services"].items() if "build" in service]
    torch = [name for name in built if config["services"][name]["build"].get("args", {}).get("TORCH_BUILD") == "cpu"]
    if not torch or env.get("TORCH_INDEX_URL") or env.get("TORCH_WHEELS"):
        return built
    images = [config["services"][name]["image"] for name in torch]
    if subprocess.run(["docker", "image", "inspect", *images], capture_output=True).returncode != 0:
        raise Refused(
            "The images of the generator and the trainer need a CPU build of torch 2.13.0; the plain package index has "
            "the CUDA build, several GB. Set TORCH_INDEX_URL, in the shell or in .env, to PyTorch's CPU index (the "
            "`Get started` page of pytorch.org names it), or put the wheel into var/wheels."
        )
    print(f"No source of torch is given: the images of {' and '.join(torch)} stay as they are.", flush=True)
    return [name for name in built if name not in torch]


def check(given: Mapping[str, str], config: Mapping[str, Any], env: Mapping[str, str]) -> None:
    """Refuse what would start and not work, or would be open to others."""
    for fault in (*_open_to_others(given, config), *_lost(given, config), *_unreachable(given)):
        raise Refused(fault)
    host, port = urlsplit(url(given)).hostname, urlsplit(url(given)).port
    if not running(env) and host and port and _taken(host, port):
        raise Refused(
            f"Port {port} is taken, perhaps by services that `plumbline up` started (`plumbline down` ends them). "
            "COORDINATOR_PORT=... chooses another port."
        )


def _open_to_others(given: Mapping[str, str], config: Mapping[str, Any]) -> Iterator[str]:
    bind = given.get("PLUMBLINE_BIND") or "127.0.0.1"
    if not ipaddress.ip_address(bind).is_loopback and not token_file(config).read_text().strip():
        yield (
            f"PLUMBLINE_BIND={bind} publishes the coordinator beyond this machine, and there is no token. "
            f"Write one into {token_file(config)}."
        )


def _lost(given: Mapping[str, str], config: Mapping[str, Any]) -> Iterator[str]:
    """What is set and would not reach a container."""
    for name, secret in config["secrets"].items():
        value = given.get(name.upper(), "")
        if name == "hf_token" and not any(_is_set(given, hub) for hub in HUB):
            continue  # many have it in their shell, for other programs
        if value and value != Path(secret["file"]).read_text().strip():
            yield f"{name.upper()} is a secret, which containers read from a file: write it into {secret['file']}."
    for name, service in config["services"].items():
        for volume in service.get("volumes", []):
            if volume["type"] == "bind" and not (folder := Path(volume["source"])).is_dir():
                yield f"The {name} mounts {folder}, which does not exist. Make it, or set another folder in .env."


def _unreachable(given: Mapping[str, str]) -> Iterator[str]:
    """Addresses that mean the container itself where this machine was meant."""
    names = (*OUTBOUND, "PLUMBLINE_S3_ENDPOINT", *(f"COORDINATOR_{name}_URL" for name in SERVICES))
    addresses = [(name, given.get(name, "")) for name in names]
    try:
        judges = json.loads(given.get("COORDINATOR_JUDGES") or "{}")
        addresses += [("COORDINATOR_JUDGES", address) for address in judges.values()]
    except (ValueError, AttributeError):
        yield 'COORDINATOR_JUDGES must be JSON such as {"strict": "http://strict:8004"}.'
    for name, address in addresses:
        if (urlsplit(str(address)).hostname or "") in LOOPBACK:
            yield (
                f"{name} has {address}, this machine's loopback, which a container cannot reach. Let the server listen "
                "on the container bridge's address, and call it http://host.docker.internal:PORT."
            )


def url(given: Mapping[str, str]) -> str:
    """Where the coordinator is published."""
    bind = given.get("PLUMBLINE_BIND") or "127.0.0.1"
    host = "127.0.0.1" if bind in ("0.0.0.0", "::") else bind  # noqa: S104 - compared, not listened on
    return f"http://{f'[{host}]' if ':' in host else host}:{given.get('COORDINATOR_PORT') or 8000}"


def token_file(config: Mapping[str, Any]) -> Path:
    return Path(config["secrets"]["plumbline_token"]["file"])


def _taken(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        return probe.connect_ex((host, port)) == 0


def running(env: Mapping[str, str]) -> list[dict[str, str]]:
    """The containers of the stack, also those that have stopped."""
    answer = compose("ps", "--all", "--format", "json", env=env, capture_output=True)
    return [json.loads(line) for line in answer.stdout.splitlines()] if answer.returncode == 0 else []


def volumes(project: str) -> list[str]:
    label = f"label=com.docker.compose.project={project}"
    command = ["docker", "volume", "ls", "--quiet", "--filter", label]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
