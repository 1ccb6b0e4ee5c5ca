"""What is checked; carried to the suite's process in the environment, where no process list shows the token."""

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

SERVICES = ("translator", "generator", "trainer", "judge", "analyzer", "coordinator")
EXAMPLES = 15
_VARIABLE = "PLUMBLINE_CONFORMANCE_TARGET"


@dataclass(frozen=True)
class Target:
    """`document` is a path; `examples` is the number of random requests an operation; `model` is for generators.

    `training` is the path of a training request, for trainers. `startup` is the path of what was seen while the service
    started, where it was started for this; `findings` is where the outcome of every check is written."""

    service: str
    url: str
    document: str
    token: str | None
    examples: int
    model: str | None = None
    training: str | None = None
    startup: str | None = None
    findings: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def as_environment(self) -> dict[str, str]:
        return {_VARIABLE: json.dumps(dataclasses.asdict(self))}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Target":
        return cls(**json.loads(environment[_VARIABLE]))
