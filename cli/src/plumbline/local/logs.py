"""The end of a service's log, for people."""

import json
from pathlib import Path


def last_lines(log: Path, position: int, count: int = 12) -> list[str]:
    """The last lines written after `position`; JSON ones as `level message` with their traceback."""
    with log.open("rb") as file:
        file.seek(position)
        text = file.read().decode(errors="replace")
    lines = [line for entry in text.splitlines() for line in _readable(entry).splitlines()]
    return lines[-count:]


def _readable(entry: str) -> str:
    try:
        fields = json.loads(entry)
        text = f"{fields['level'].lower()} {fields['message']}"
    except (ValueError, TypeError, KeyError, AttributeError):
        return entry
    return f"{text}\n{fields['exc_info']}" if fields.get("exc_info") else text
