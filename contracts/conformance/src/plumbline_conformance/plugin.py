"""The pytest plugin of the suite: turns its tests into checks with a requirement, an outcome and a request."""

import json
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any, Literal

import pytest

from .findings import Check, Findings
from .record import Record
from .target import Target

_LONGEST = 700
RECORD: pytest.StashKey[Record] = pytest.StashKey()
INFO: pytest.StashKey[dict[str, Any]] = pytest.StashKey()
_CHECKS: pytest.StashKey[list[Check]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    target = Target.from_environment()
    document = json.loads(Path(target.document).read_text(encoding="utf-8"))
    config.stash[RECORD] = Record(target.url, list(document["paths"]))
    config.stash[_CHECKS] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" or report.outcome != "passed":
        detail = _reason(report) if report.skipped else _what_happened(call)
        curl = item.config.stash[RECORD].curl if report.failed else None
        if report.when != "teardown":
            outcome: Literal["passed", "failed", "skipped"] = report.outcome
            item.config.stash[_CHECKS].append(Check(_name(item), _requirement(item), outcome, detail, curl))
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    target, stash = Target.from_environment(), session.config.stash
    if target.findings is not None:
        found = Findings(target.service, target.url, stash[_CHECKS], dict(stash[RECORD].seconds), stash.get(INFO, None))
        found.write(Path(target.findings))


def _name(item: pytest.Item) -> str:
    """`test_an_unknown_field_is_refused` -> `an unknown field is refused`."""
    name, bracket, parameters = item.name.removeprefix("test_").partition("[")
    return name.replace("_", " ") + (f" [{parameters}" if bracket else "")


def _requirement(item: pytest.Item) -> str:
    """The docstring of the test, without its line breaks."""
    documented = getattr(item, "function", None) or getattr(item, "obj", None)
    return re.sub(r"\s+", " ", getattr(documented, "__doc__", None) or "").strip()


def _reason(report: pytest.TestReport) -> str:
    return report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else str(report.longrepr)


def _what_happened(call: pytest.CallInfo[None]) -> str | None:
    if call.excinfo is None:
        return None
    errors = getattr(call.excinfo.value, "exceptions", (call.excinfo.value,))  # Schemathesis groups what it finds
    text = "\n".join(str(error) or type(error).__name__ for error in errors).partition("Reproduce with:")[0].strip()
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."
