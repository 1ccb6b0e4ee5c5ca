"""The compose stack under a project name of its own, to be disturbed: kills, lost networks, down and up."""

import json
import os
import subprocess
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.stack import Coordinator, free_port, wait_for

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "plumbline-test"


class ComposeStack:
    """`make up` with its own project, port and secrets, so that it stands beside a stack that somebody uses."""

    def __init__(self, home: Path, tinyworld: Path) -> None:
        self.home, self.port = home, free_port()
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("PLUMBLINE_", "COMPOSE_"))},
            "COMPOSE_PROJECT_NAME": PROJECT,
            # Nothing of a .env that somebody has.
            "COMPOSE_FILE": "compose.yaml",
            "PLUMBLINE_BIND": "127.0.0.1",
            "PLUMBLINE_STACK": "",
            "PLUMBLINE_REGISTRY": "",
            "JUDGE_IMPLEMENTATION": "",
            "COORDINATOR_PORT": str(self.port),
            "PLUMBLINE_SECRETS_DIR": str(home / "secrets"),
            "TRANSLATOR_PACKAGES_DIR": str(tinyworld / "argos" / "packages"),
            "GENERATOR_MODELS_DIR": str(tinyworld / "models"),
            "GENERATOR_BATCH_SIZE": "4",  # slow enough to be disturbed while it generates
            "TRAINER_MODELS_DIR": str(tinyworld / "models"),
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @cached_property
    def coordinator(self) -> Coordinator:
        return Coordinator(self.url)

    def make(self, action: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """What `make up`, `make down`, `make clean` and `make images` run."""
        command = [sys.executable, "scripts/stack.py", action]
        return self.run(command, **settings)

    def up(self, **settings: str) -> str:
        done = self.make("up", **settings)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        return done.stdout

    def plumbline(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "plumbline", *arguments]
        return self.run(command, PLUMBLINE_URL=self.url, PLUMBLINE_HOME=str(self.home))

    def run(self, command: list[str], **settings: str) -> subprocess.CompletedProcess[str]:
        environment = self.environment | settings
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1800)

    def container(self, service: str) -> str:
        return f"{PROJECT}-{service}-1"

    def inspect(self, service: str) -> dict[str, Any]:
        return dict(json.loads(docker("inspect", self.container(service)))[0])

    def execute(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["docker", "exec", self.container(service), *command], capture_output=True, text=True)

    def kill(self, service: str) -> None:
        """kill -9 of the main process, as the kernel would do it; `docker kill` would count as a wish to stop."""
        pid = self.inspect(service)["State"]["Pid"]
        privileged = [] if os.geteuid() == 0 else ["sudo"]
        subprocess.run([*privileged, "kill", "-9", str(pid)], check=True)
        wait_for(lambda: self.inspect(service)["State"]["Pid"] not in (0, pid), 60, f"{service} to be started again")

    def wait_healthy(self, service: str) -> None:
        wait_for(
            lambda: self.inspect(service)["State"]["Health"]["Status"] == "healthy", 120, f"{service} to be healthy"
        )


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


def why_no_engine() -> str | None:
    """None where containers can be started; .ci/run prints the same."""
    try:
        for command in (["docker", "info"], ["docker", "compose", "version"]):
            subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no container engine answers: {error}"
    return None
