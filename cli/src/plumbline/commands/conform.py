"""`plumbline conform`: does whatever answers at a URL keep to a contract?"""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import httpx
import typer
from plumbline_contracts.export import CONTRACTS
from plumbline_kit.errors import ProblemError

from ..local import readiness
from ..options import Json
from ..terminal import reporting

_SUITE = "plumbline_conformance"


def conform(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help=", ".join(one.NAME for one in CONTRACTS))],
    url: Annotated[str, typer.Option("--url", help="Address of the service to examine.")],
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write a JUnit report.")] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write the report, as Markdown.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="COMMAND", help="Start the service so, watch it get ready, end it afterwards."),
    ] = None,
    examples: Annotated[int | None, typer.Option(min=0, help="Generated requests per operation.")] = None,
    model: Annotated[str | None, typer.Option(help="A model that the service has, where it needs one.")] = None,
    training: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON of a training that the trainer accepts; it is cancelled.")
    ] = None,
    json: Json = False,
) -> None:
    """Examine a service, in whatever language it is written, against its contract. Exit code 1: it does not conform.

    The suite sends many requests, wrong ones too: point it at a service that
    may be used for tests.

    \b
    plumbline conform judge --url http://127.0.0.1:9004 --report judge.md --junit judge.xml
    plumbline conform judge --url http://127.0.0.1:9005 --start 'node judge.mjs'
    """
    with reporting(json):
        names = [one.NAME for one in CONTRACTS]
        if service not in names:
            raise ProblemError(
                422, "unknown-service", f"There is no contract {service!r}; there are {', '.join(names)}."
            )
        if importlib.util.find_spec(_SUITE) is None:
            detail = "The conformance suite is not installed: pip install -e contracts/conformance"
            raise ProblemError(422, "not-installed", detail)
        if start is None:
            _must_answer(url)
        given = {"--url": url, "--junit": junit, "--report": report, "--start": start, "--examples": examples}
        given |= {"--model": model, "--training": training}
        arguments = [str(part) for name, value in given.items() if value is not None for part in (name, value)]
        # With --json the suite itself puts its findings on standard output, and text for people on standard error.
        arguments += ["--json"] if json else []
        raise typer.Exit(subprocess.run([sys.executable, "-m", _SUITE, service, *arguments]).returncode)


def _must_answer(url: str) -> None:
    with readiness.http() as client:
        try:
            client.get(f"{url.rstrip('/')}/livez")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProblemError(503, "no-answer", f"{url} does not answer: {type(error).__name__} {error}.") from error
