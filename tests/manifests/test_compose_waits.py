"""What `make up` waits for in containers, by what the engine tells of them; tests/containers has the engine itself."""

from typing import Any

import pytest
from plumbline.local.readiness import refuse_to_wait_in_vain
from plumbline_kit.errors import ProblemError
from plumbline_kit.healthcheck import IN_VAIN, NOT_READY

from scripts.containers import Containers
from tests.manifests.test_compose_files import compose

LACKING = "503: There is no usable Argos package in /data/argos."


def found(**health: str) -> list[dict[str, str]]:
    """As compose tells it: of a service its container, created only where its health is empty."""
    states = {"": "created"}
    return [
        {"ID": f"id-of-{name}", "Service": name, "State": states.get(told, "running"), "Health": told}
        for name, told in health.items()
    ]


def check(number: int, status: int, output: str = LACKING) -> dict[str, Any]:
    return {"Start": f"2026-11-26T12:00:{number:02}Z", "ExitCode": status, "Output": f"{output}\n"}


FOUND = found(coordinator="", generator="healthy", judge="starting", translator="starting")
IN_VAIN_ALREADY = {"id-of-translator": [check(0, IN_VAIN)]}


def test_it_is_told_when_waiting_helps_none_and_not_of_those_that_wait_for_others() -> None:
    containers = Containers(compose(), {})
    refuse_to_wait_in_vain(containers.awaited(FOUND, IN_VAIN_ALREADY))  # the judge may get ready
    ready = [one | {"Health": "healthy"} if one["Service"] == "judge" else one for one in FOUND]
    with pytest.raises(ProblemError) as told:
        refuse_to_wait_in_vain(containers.awaited(ready, IN_VAIN_ALREADY))
    assert told.value.detail == (
        f"Not ready, and waiting does not help: translator: {LACKING} Ready were: generator, judge."
    )


def test_what_may_pass_is_waited_for() -> None:
    containers = Containers(compose(), {})
    some = found(coordinator="", translator="starting")
    for checks in ([], [check(0, NOT_READY)], [check(0, IN_VAIN), check(5, NOT_READY, "port 8001 does not answer")]):
        refuse_to_wait_in_vain(containers.awaited(some, {"id-of-translator": checks}))


def test_what_was_said_before_the_start_may_be_mended_by_it() -> None:
    containers, some = Containers(compose(), IN_VAIN_ALREADY), found(coordinator="healthy", translator="unhealthy")
    for numbers in ([0], [0, 5]):
        checks = {"id-of-translator": [check(number, IN_VAIN) for number in numbers]}
        refuse_to_wait_in_vain(containers.awaited(some, checks))
    again = {"id-of-translator": [check(number, IN_VAIN) for number in (0, 5, 10)]}
    with pytest.raises(ProblemError, match="waiting does not help: translator"):
        refuse_to_wait_in_vain(containers.awaited(some, again))
