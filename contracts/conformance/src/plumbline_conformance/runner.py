"""Run the suite of a service against a URL."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from .findings import Findings
from .starting import started
from .target import EXAMPLES, SERVICES, Target

# The committed documents of this checkout. They are not copied into the package, so that there is one of each.
DOCUMENTS = Path(__file__).parents[3] / "openapi"
SUITE = Path(__file__).parent / "suite"

__all__ = ["DOCUMENTS", "SERVICES", "SuiteBroken", "run"]


class SuiteBroken(RuntimeError):
    """The suite itself came to no result; the text is its output."""


def run(
    service: str,
    url: str,
    documents: Path | None = None,
    junit: Path | None = None,
    token: str | None = None,
    examples: int = EXAMPLES,
    model: str | None = None,
    training: Path | None = None,
    start: str | None = None,
    start_seconds: float = 120,
) -> Findings:
    """What every check found; `findings.conforms` is the verdict.

    `documents` is a folder with `<service>.v1.json`, by default contracts/openapi of the checkout that this package is
    installed from. `examples` is the number of random requests an operation; `model` is what a generator is asked for.
    `start` is a command that starts the service at `url`, which is then watched until it is ready and ended afterwards.
    Raises ValueError for an unknown service, FileNotFoundError where there is no document, `starting.NotStarted`, and
    SuiteBroken.
    """
    if service not in SERVICES:
        raise ValueError(f"there is no service {service!r}; there is {', '.join(SERVICES)}")
    document = (documents or DOCUMENTS).resolve() / f"{service}.v1.json"
    if not document.is_file():
        raise FileNotFoundError(f"{document} is missing; give the folder of the OpenAPI documents")
    job = None if training is None else str(training.resolve())
    target = Target(service, url.rstrip("/"), str(document), token, examples, model, job)
    with tempfile.TemporaryDirectory() as scratch, _running(start, target, Path(scratch), start_seconds) as seen:
        return _run(seen, Path(scratch), junit)


@contextmanager
def _running(command: str | None, target: Target, scratch: Path, seconds: float) -> Iterator[Target]:
    """The target, started where there is a command for it, with what was seen of the start."""
    if command is None:
        yield target
        return
    with (scratch / "service.log").open("w+b") as log, started(command, target, seconds, log) as answers:
        (scratch / "startup.json").write_text(json.dumps(answers), encoding="utf-8")
        yield replace(target, startup=str(scratch / "startup.json"))


def _run(target: Target, scratch: Path, junit: Path | None) -> Findings:
    """In a process of its own: pytest and Schemathesis keep state, and the caller may be under pytest itself."""
    target = replace(target, findings=str(scratch / "findings.json"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments(target.service, junit)],
        cwd=scratch,
        env=environment | target.as_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if ended.returncode not in (0, 1):
        raise SuiteBroken(ended.stdout.decode(errors="replace"))
    return Findings.read(scratch / "findings.json")


def arguments(service: str, junit: Path | None = None) -> list[str]:
    """What pytest is called with."""
    files = [SUITE / f"test_{name}.py" for name in ("operations", "requests", service, "document")]
    options = ["-q", "-p", "plumbline_conformance.plugin", "-p", "no:cacheprovider", "--import-mode=importlib"]
    # An empty configuration: the one of a checkout around it is not meant for this suite.
    options += ["--tb=short", f"--rootdir={SUITE}", "-c", os.devnull, "-o", f"junit_suite_name=conformance-{service}"]
    if junit is not None:
        options.append(f"--junitxml={junit.resolve()}")
    return [*options, *map(str, files)]
