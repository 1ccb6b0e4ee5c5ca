"""Save the report of an experiment."""

from pathlib import Path

from .client import PlumblineClient
from .files import whole
from .terminal import Terminal


def save_report(client: PlumblineClient, id: str, target: Path, terminal: Terminal) -> Path:
    """Where the report now lies."""
    page = client.report(id)
    target = target.resolve()
    with whole(target) as partial:
        partial.write_text(page, encoding="utf-8")
    terminal.say(f"\nReport: {target}\n{target.as_uri()}")
    return target
