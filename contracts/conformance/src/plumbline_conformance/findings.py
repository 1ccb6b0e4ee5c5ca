"""The outcome of every check, as the suite's process hands it to the one that reports."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Check:
    """`detail` is what happened, or why the check was skipped; `curl` the last request before it failed."""

    name: str
    requirement: str
    outcome: Literal["passed", "failed", "skipped"]
    detail: str | None
    curl: str | None


@dataclass(frozen=True)
class Findings:
    """`seconds`: by operation, the time of every successful answer."""

    service: str
    url: str
    checks: list[Check]
    seconds: dict[str, list[float]]
    info: dict[str, Any] | None

    @property
    def conforms(self) -> bool:
        return any(check.outcome == "passed" for check in self.checks) and not self.failed

    @property
    def failed(self) -> list[Check]:
        return [check for check in self.checks if check.outcome == "failed"]

    def count(self, outcome: str) -> int:
        return sum(check.outcome == outcome for check in self.checks)

    def latencies(self) -> dict[str, tuple[int, float, float, float]]:
        """By operation: how many successful answers, and their p50, p90 and maximum in seconds."""
        return {operation: _summary(sorted(times)) for operation, times in self.seconds.items() if times}

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Findings":
        stored = json.loads(path.read_text(encoding="utf-8"))
        return cls(**stored | {"checks": [Check(**check) for check in stored["checks"]]})


def _summary(times: list[float]) -> tuple[int, float, float, float]:
    """Nearest rank: every figure is a time that was seen."""
    return len(times), times[(len(times) - 1) // 2], times[-(-len(times) * 9 // 10) - 1], times[-1]
