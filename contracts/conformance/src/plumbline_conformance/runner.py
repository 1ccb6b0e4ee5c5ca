"""Run the suite of a service against a URL."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .target import EXAMPLES, SERVICES, Target

# The committed documents of this checkout. They are not copied into the package, so that there is one of each.
DOCUMENTS = Path(__file__).parents[3] / "openapi"
SUITE = Path(__file__).parent / "suite"

__all__ = ["DOCUMENTS", "SERVICES", "run"]


def run(
    service: str,
    url: str,
    documents: Path | None = None,
    junit: Path | None = None,
    token: str | None = None,
    examples: int = EXAMPLES,
    model: str | None = None,
    training: Path | None = None,
) -> int:
    """0 when the service conforms, 1 when it does not; what was found goes to standard output.

    `documents` is a folder with `<service>.v1.json`, by default contracts/openapi of the checkout that this package is
    installed from. `examples` is the number of random requests an operation; `model` is what a generator is asked for.
    Raises ValueError for an unknown service, FileNotFoundError where there is no document.
    """
    if service not in SERVICES:
        raise ValueError(f"there is no service {service!r}; there is {', '.join(SERVICES)}")
    document = (documents or DOCUMENTS).resolve() / f"{service}.v1.json"
    if not document.is_file():
        raise FileNotFoundError(f"{document} is missing; give the folder of the OpenAPI documents")
    job = None if training is None else str(training.resolve())
    target = Target(service, url.rstrip("/"), str(document), token, examples, model, job)
    # A process of its own: pytest and Schemathesis keep state, and the caller may be under pytest itself.
    with tempfile.TemporaryDirectory() as scratch:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        ended = subprocess.run(_command(service, junit), cwd=scratch, env=environment | target.as_environment())
    return 0 if ended.returncode == 0 else 1


def _command(service: str, junit: Path | None) -> list[str]:
    files = [SUITE / f"test_{name}.py" for name in ("operations", service, "document")]
    options = ["-q", "-rs", "-p", "no:cacheprovider", "--import-mode=importlib", "--tb=short", f"--rootdir={SUITE}"]
    # An empty configuration: the one of a checkout around it is not meant for this suite.
    options += ["-c", os.devnull, "-o", f"junit_suite_name=conformance-{service}"]
    if junit is not None:
        options.append(f"--junitxml={junit.resolve()}")
    return [sys.executable, "-m", "pytest", *options, *map(str, files)]
