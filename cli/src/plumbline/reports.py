"""Save the report of an experiment."""

import io
import zipfile
from pathlib import Path

from plumbline_kit.errors import ProblemError

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


def save_folder(archive: bytes, target: Path, terminal: Terminal) -> Path:
    """report.html, tables/ and figures/ in a folder that is new or empty; where its report now lies."""
    target = target.resolve()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ProblemError(422, "folder-exists", f"{target} exists and is not empty; name a new folder.")
    with zipfile.ZipFile(io.BytesIO(archive)) as content:
        content.extractall(target)  # keeps every member below the folder
    page = target / "report.html"
    terminal.say(f"\nReport: {page}\n{page.as_uri()}\nTables and figures: {target}")
    return page
