"""The detectors' tables of words and patterns, as data."""

import tomllib
from functools import cache
from importlib import resources
from typing import Any


@cache
def table(name: str) -> dict[str, Any]:
    """What `NAME.toml` in this folder holds."""
    return tomllib.loads((resources.files(__package__) / f"{name}.toml").read_text("utf-8"))
