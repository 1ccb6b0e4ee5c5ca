"""The containers of the stack as what `plumbline up` waits for: how each is, by its last health check."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from plumbline.local.readiness import Awaited
from plumbline_kit.healthcheck import IN_VAIN

Found = Mapping[str, str]
"""A line of `docker compose ps --all --format json`."""
Checks = Mapping[str, Sequence[Mapping[str, Any]]]
"""By a container's ID, what the engine keeps of its last health checks."""


class Containers:
    """`config` is what compose understands of its files, `earlier` the checks of containers that were there before the
    start. Of those the first new check does not count yet: what is mended replaces them, which takes a moment."""

    def __init__(self, config: Mapping[str, Any], earlier: Checks) -> None:
        self._needs = {name: list(service.get("depends_on", {})) for name, service in config["services"].items()}
        self._earlier = earlier

    def awaited(self, found: Sequence[Found], checks: Checks) -> list[Awaited]:
        """Those that were found, without those that are started when others are ready which wait in vain."""
        known = {one["Service"]: self._awaited(one, checks.get(one["ID"], ())) for one in found}
        in_vain = {name for name, one in known.items() if one.waits_in_vain}
        return [one for name, one in known.items() if one.ready or not in_vain.intersection(self._needs.get(name, ()))]

    def _awaited(self, one: Found, checks: Sequence[Mapping[str, Any]]) -> Awaited:
        ready = (one["State"], one.get("Health")) == ("running", "healthy")
        earlier = self._earlier.get(one["ID"])
        new = checks if earlier is None else [check for check in checks if check not in earlier][1:]
        last = new[-1] if new else {}
        return Awaited(
            one["Service"],
            ready=ready,
            state="ready" if ready else str(last.get("Output", "starting")).strip(),
            waits_in_vain=not ready and last.get("ExitCode") == IN_VAIN,
        )


def checks_of(found: Sequence[Found]) -> Checks:
    """Empty while one of them is being replaced."""
    ids = [one["ID"] for one in found]
    if not ids:
        return {}
    command = ["docker", "inspect", "--format", "{{json .State.Health}}", *ids]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode != 0:
        return {}
    told = [json.loads(line) for line in answer.stdout.splitlines()]
    return {id: (one or {}).get("Log") or [] for id, one in zip(ids, told, strict=True)}
