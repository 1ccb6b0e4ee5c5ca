"""What people read goes through here: text, tables, errors; and JSON for programs."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any
from urllib.parse import urlsplit

import typer
from plumbline_contracts.common import Problem
from plumbline_contracts.coordinator import ExperimentState
from plumbline_kit.client import Unreachable
from plumbline_kit.errors import PREFIX, ProblemError
from pydantic import BaseModel
from rich.console import Console, RenderableType


class ExitCode(IntEnum):
    """Part of the command's interface: documented in `plumbline --help` and README.md."""

    OK = 0
    EXPERIMENT_FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4
    CANCELLED = 5
    OTHER = 6
    PAUSED = 7


EXIT_OF_STATE = {
    ExperimentState.FAILED: ExitCode.EXPERIMENT_FAILED,
    ExperimentState.CANCELLED: ExitCode.CANCELLED,
    ExperimentState.PAUSED: ExitCode.PAUSED,
}
_USAGE = {401, 403, 413, 422}
_LOCAL = {"127.0.0.1", "localhost", "::1"}


class Terminal:
    """Text for people: on standard output, or on standard error when `--json` puts data on standard output."""

    def __init__(self, json: bool = False) -> None:
        self.json = json
        self.console = _console(stderr=json)
        self.errors = _console(stderr=True)

    def say(self, text: str) -> None:
        self.console.print(plain(text), markup=False, highlight=False, soft_wrap=True)

    def show(self, *renderables: RenderableType) -> None:
        self.console.print(*renderables)

    def data(self, value: BaseModel | dict[str, Any]) -> None:
        """Print `value` for a program, where one was asked for."""
        if self.json:
            content = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
            json.dump(content, sys.stdout, ensure_ascii=False, indent=2)
            print(flush=True)

    def error(self, *lines: str) -> None:
        for line in lines:
            self.errors.print(plain(line), markup=False, highlight=False, soft_wrap=True)


def _console(stderr: bool) -> Console:
    console = Console(stderr=stderr)
    if not console.is_terminal:
        console.width = 160  # a file or a pipe has no width; 80 would cut tables
    return console


def plain(text: str) -> str:
    """Without the control characters by which a text from elsewhere could steer the terminal."""
    return "".join(character for character in text if character.isprintable() or character in "\n\t")


@contextmanager
def reporting(json: bool = False) -> Iterator[Terminal]:
    """Turn every expected failure within into a few lines on standard error and an exit code."""
    terminal = Terminal(json)
    try:
        yield terminal
    except ProblemError as error:
        terminal.error(*_lines(error))
        problem = Problem(
            type=PREFIX + error.kind,
            title=error.kind,
            status=error.status,
            detail=error.detail,
            instance=None,
            errors=error.errors,
        )
        terminal.data({"error": problem.model_dump()})
        raise typer.Exit(exit_code(error)) from error
    except BrokenPipeError:
        raise  # the reader has gone, as with `| head`; Typer ends in silence
    except OSError as error:
        terminal.error(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "))
        raise typer.Exit(ExitCode.OTHER) from error


def exit_code(error: ProblemError) -> ExitCode:
    if isinstance(error, Unreachable) or error.status in {502, 503, 504}:
        return ExitCode.UNREACHABLE
    if error.kind == "unexpected-answer":
        return ExitCode.OTHER
    if error.status in _USAGE or error.kind == "id-taken":
        return ExitCode.USAGE
    return ExitCode.NOT_FOUND if error.status == 404 else ExitCode.OTHER


def _lines(error: ProblemError) -> list[str]:
    lines = [error.detail, *(f"  {fault.place}: {fault.message}" for fault in error.errors)]
    if isinstance(error, Unreachable):
        url = error.detail.partition(" ")[0]
        start = "Start it with `plumbline up`" if urlsplit(url).hostname in _LOCAL else "Check the address"
        lines = [f"The coordinator at {error.detail}", f"{start}, or give its address by --url or PLUMBLINE_URL."]
    elif error.status == 401:
        lines.append("Set PLUMBLINE_TOKEN to the token that the coordinator was started with.")
    elif error.kind == "unexpected-answer":
        lines.append("Is this the address of a Plumbline coordinator?")
    elif error.kind == "id-taken":
        lines.append("Choose another --id, or leave it out: the default id is made of the content.")
    return lines
