"""What the tables hold, as values."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Chunk:
    """A batch of one stage: `items` of one `unit` (the language, arm/language or judge/arm/language they belong to)."""

    number: int
    unit: str
    items: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of one item: a body, or the cause why there is none."""

    item: str
    body: dict[str, Any] | None
    cause: str | None = None


@dataclass(frozen=True)
class Item:
    """One instruction in one language; `source` still has to be translated where `translate` is set."""

    language: str
    item: str
    position: int
    category: str
    tasks: list[str]
    source: str
    translate: bool
    reference: str | None
