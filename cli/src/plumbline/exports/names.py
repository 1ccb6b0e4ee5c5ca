"""Names that people chose as names of files."""

import re
from collections.abc import Iterable


def file_names(names: Iterable[str]) -> dict[str, str]:
    """A file name of its own for every name, without what a file system or another tool takes for something else."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^\w.+-]+", "-", name).strip("-.") or "unnamed"
        taken = {one.casefold() for one in found.values()}
        while plain.casefold() in taken:
            plain += "-"
        found[name] = plain
    return found
