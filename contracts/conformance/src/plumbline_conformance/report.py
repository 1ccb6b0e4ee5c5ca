"""What was found, for people: on a terminal, and as Markdown."""

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from .findings import Check, Findings

_STYLES = {"passed": "green", "failed": "bold red", "skipped": "yellow"}


def show(findings: Findings, console: Console) -> None:
    parts: list[RenderableType] = [Text(who(findings), "bold"), _checks(findings.checks)]
    if findings.seconds:
        parts += [Text("Latency of successful answers, milliseconds", "bold"), _latencies(findings)]
    for check in findings.failed:
        parts += [Text(f"FAILED {_plain(check.name)}", "bold red"), Text(_plain(check.requirement))]
        parts += [Text(_plain(check.detail or ""), "red"), Text(_plain(check.curl or ""), "dim"), Text()]
    console.print(Group(*parts, Text(verdict(findings), "bold")), soft_wrap=True)


def who(findings: Findings) -> str:
    """For example `judge at http://127.0.0.1:8004: rules 0.1.0, no model`."""
    info = findings.info
    if info is None:
        return f"{findings.service} at {findings.url}"
    model = info.get("model")
    named = f"{info.get('implementation')} {info.get('version')}, {'no model' if model is None else f'model {model}'}"
    return _plain(f"{findings.service} at {findings.url}: {named}")


def verdict(findings: Findings) -> str:
    word = "conforms" if findings.conforms else "DOES NOT CONFORM"
    counts = ", ".join(f"{findings.count(outcome)} {outcome}" for outcome in _STYLES)
    return f"It {word} to the contract of a {findings.service}: {counts}."


def _checks(checks: list[Check]) -> Table:
    table = Table("check", "result", "", box=box.SIMPLE_HEAD, pad_edge=False)
    for check in checks:
        note = _plain(check.detail or "") if check.outcome == "skipped" else ""
        table.add_row(Text(_plain(check.name)), Text(check.outcome, _STYLES[check.outcome]), Text(note, "dim"))
    return table


def _latencies(findings: Findings) -> Table:
    table = Table("operation", "answers", "p50", "p90", "max", box=box.SIMPLE_HEAD, pad_edge=False)
    for operation, (count, *times) in findings.latencies().items():
        table.add_row(operation, str(count), *(f"{1000 * seconds:.1f}" for seconds in times))
    return table


def markdown(findings: Findings) -> str:
    """The same as one page: every check with its requirement, and for a failed one the request that shows it."""
    lines = [f"# Conformance: {who(findings)}", "", f"**{verdict(findings)}**", ""]
    lines += ["| check | requirement | result |", "|---|---|---|"]
    for check in findings.checks:
        skipped = f": {check.detail}" if check.outcome == "skipped" else ""
        lines.append(f"| {_cell(check.name)} | {_cell(check.requirement)} | {check.outcome}{_cell(skipped)} |")
    for check in findings.failed:
        lines += ["", f"## Failed: {check.name}", "", check.requirement, "", *_block(check.detail), *_block(check.curl)]
    lines += ["", "## Latency of successful answers, milliseconds", ""]
    lines += ["| operation | answers | p50 | p90 | max |", "|---|---|---|---|---|"]
    for operation, (count, *times) in findings.latencies().items():
        lines.append(f"| {_cell(operation)} | {count} | " + " | ".join(f"{1000 * one:.1f}" for one in times) + " |")
    return "\n".join(lines) + "\n"


def _block(text: str | None) -> list[str]:
    """Indented, so that nothing in a service's answer can end it."""
    return [f"    {_plain(line)}" for line in text.splitlines()] + [""] if text else []


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _plain(text: str) -> str:
    """Without the control characters by which an answer could steer the terminal."""
    return "".join(character for character in text if character.isprintable() or character in "\n\t")
