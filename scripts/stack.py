"""`make up`, `down`, `clean`, `images`: containers where an engine answers, otherwise processes of this machine."""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from compose import (
    COMPOSE,
    ROOT,
    Refused,
    check,
    compose,
    environment,
    make_secrets,
    resolved,
    running,
    to_build,
    token_file,
    url,
    volumes,
)
from containers import Containers, checks_of
from dotenv import dotenv_values
from plumbline.local.readiness import refuse_to_wait_in_vain
from plumbline_kit.errors import ProblemError

WAIT_S = 900.0
TINYWORLD = {
    "TRANSLATOR_PACKAGES_DIR": "./var/tinyworld/argos/packages",
    "GENERATOR_MODELS_DIR": "./var/tinyworld/models",
    "TRAINER_MODELS_DIR": "./var/tinyworld/models",
}


def settings() -> dict[str, str]:
    """The shell's variables over those of .env, over tinyworld as the models that are there."""
    from_file = {key: value for key, value in dotenv_values(ROOT / ".env").items() if value}
    return TINYWORLD | from_file | dict(os.environ)


def why_no_engine(given: Mapping[str, str]) -> str | None:
    """None where containers can be used."""
    if given.get("PLUMBLINE_STACK") == "embedded":
        return "PLUMBLINE_STACK is embedded"
    if shutil.which("docker") is None:
        return "there is no `docker` command"
    for command in (["docker", "info"], [*COMPOSE, "version"]):
        asked = subprocess.run(command, capture_output=True, text=True)
        if asked.returncode != 0:
            return f"`{' '.join(command)}` says: {(asked.stderr.strip() or 'nothing').splitlines()[-1]}"
    return None


def up(given: Mapping[str, str]) -> int:
    if (reason := why_no_engine(given)) is not None:
        print(f"No container engine is used: {reason}. Starting the services as processes of this machine.", flush=True)
        folder = {"PLUMBLINE_SECRETS_DIR": str(ROOT / "secrets")} if (ROOT / "secrets").is_dir() else {}
        return subprocess.run([sys.executable, "-m", "plumbline", "up"], env=folder | dict(given)).returncode
    env = environment(given)
    config = resolved(env)
    make_secrets(config)
    check(given, config, env)
    build = [] if given.get("PLUMBLINE_REGISTRY") else to_build(config, env)
    if "compose.outbound.yaml" in env["COMPOSE_FILE"]:
        print("A setting needs the network beyond this machine: compose.outbound.yaml is added.", flush=True)
    started = time.monotonic()
    if build and compose("build", *build, env=env).returncode != 0:
        return 1
    status = _start(env, config)
    if status == 0:
        _next_step(given, token_file(config), time.monotonic() - started)
    return status


def _start(env: Mapping[str, str], config: Mapping[str, Any]) -> int:
    """Start and wait; not for a service that ends again and again, which is shown with its last words, and not where
    only a person can mend what is lacking, which is told."""
    containers = Containers(config, checks_of(running(env)))
    command = [*COMPOSE, "up", "--detach", "--wait", "--wait-timeout", str(int(WAIT_S)), "--remove-orphans"]
    with subprocess.Popen(command, cwd=ROOT, env=dict(env)) as process:
        while process.poll() is None:
            time.sleep(2)
            found = running(env)
            if restarting := [one["Service"] for one in found if one["State"] == "restarting"]:
                _end(process)
                return _show(restarting, "ends again and again", env)
            try:
                refuse_to_wait_in_vain(containers.awaited(found, checks_of(found)))
            except ProblemError as problem:
                _end(process)
                print(f"\n{problem.detail}", file=sys.stderr)
                return _mend()
    unwell = [one["Service"] for one in running(env) if (one["State"], one.get("Health")) != ("running", "healthy")]
    return 0 if process.returncode == 0 else _show(unwell, "is not ready", env)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait()


def _show(names: list[str], what: str, env: Mapping[str, str]) -> int:
    for name in names:
        print(f"\nThe {name} {what}. Its last words:", file=sys.stderr, flush=True)
        compose("logs", "--no-color", "--no-log-prefix", "--tail", "8", name, env=env, stdout=sys.stderr)
    return _mend()


def _mend() -> int:
    print("\nThe other services run on. Mend the cause and run `make up` again, or `make down`.", file=sys.stderr)
    return 1


def _next_step(given: Mapping[str, str], token: Path, seconds: float) -> None:
    address = url(given)
    httpx.get(f"{address}/readyz", timeout=10, trust_env=False).raise_for_status()
    print(f"\nReady after {seconds:.0f} s; the coordinator answers at {address}. Next:\n")
    if token.read_text().strip():
        print(f"    export PLUMBLINE_TOKEN=$(cat {token})")
    option = "" if address == "http://127.0.0.1:8000" else f" --url {address}"
    print(f"    .venv/bin/plumbline run experiments/quickstart.yaml{option}\n")
    print("`make down` ends the services and keeps all data; `docker compose logs -f` shows what they do.")


def down(given: Mapping[str, str]) -> int:
    if why_no_engine(given) is None:
        env = dict(given) | {"COMPOSE_FILE": "compose.yaml:compose.outbound.yaml"}
        if running(env):
            return compose("down", "--remove-orphans", env=env).returncode
    return subprocess.run([sys.executable, "-m", "plumbline", "down"], env=dict(given)).returncode


def clean(given: Mapping[str, str]) -> int:
    """Remove what experiments left: containers, volumes, and the embedded stack's files. Models and secrets stay."""
    home = Path(given.get("PLUMBLINE_HOME", ROOT / "var"))
    kept = [*home.glob("coordinator*.sqlite*"), *(home / name for name in ("artifacts", "trainings", "reports", "run"))]
    doomed = [path for path in kept if path.exists()]
    project = given.get("COMPOSE_PROJECT_NAME", "plumbline")
    kept_by_engine = volumes(project) if why_no_engine(given) is None else []
    if not doomed and not kept_by_engine:
        print("There is nothing to remove.")
        return 0
    print("This removes every experiment, response, trained model and report:")
    print("\n".join([*(f"  volume {name}" for name in kept_by_engine), *(f"  {path}" for path in doomed)]))
    if given.get("CONFIRM") != "yes" and (not sys.stdin.isatty() or input("Remove them? Type yes: ").strip() != "yes"):
        print("Nothing was removed." + ("" if sys.stdin.isatty() else " CONFIRM=yes answers without a terminal."))
        return 1
    if (status := down(given)) != 0:
        return status
    if kept_by_engine:
        subprocess.run(["docker", "volume", "rm", *kept_by_engine], check=True, stdout=subprocess.DEVNULL)
    for path in doomed:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    print("Removed.")
    return 0


def images(given: Mapping[str, str]) -> int:
    if (reason := why_no_engine(given)) is not None:
        raise Refused(f"Images need a container engine: {reason}.")
    env = environment(given)
    config = resolved(env)
    if (status := compose("build", *to_build(config, env), env=env).returncode) != 0:
        return status
    names = [str(service["image"]) for service in config["services"].values() if "build" in service]
    shown = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{.Size}}", *names], capture_output=True, text=True, check=True
    )
    for name, size in sorted(zip(names, shown.stdout.split(), strict=True)):
        print(f"{int(size) / 1e6:7.0f} MB  {name}")
    return 0


def main() -> None:
    actions = {"up": up, "down": down, "clean": clean, "images": images}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=actions)
    try:
        sys.exit(actions[parser.parse_args().action](settings()))
    except Refused as reason:
        sys.exit(str(reason))


if __name__ == "__main__":
    main()
