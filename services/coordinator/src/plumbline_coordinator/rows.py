"""What the tables hold, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plumbline_contracts.coordinator import PhaseName


@dataclass(frozen=True)
class Chunk:
    """A batch of one stage: `items` of one `unit` (the language, arm/language or judge/arm/language they belong to)."""

    number: int
    unit: str
    items: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of one item: a body, or the cause why there is none.

    `key`: of what determined it, if it may be given again. `origin`: the experiment that it was taken from. `used`:
    tokens that it cost, by the names of accounting.py.
    """

    item: str
    body: dict[str, Any] | None
    cause: str | None = None
    key: bytes | None = None
    origin: str | None = None
    used: Mapping[str, int] | None = None


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


@dataclass(frozen=True)
class Recorded:
    """The phase that an experiment begins with, and the experiment that has what comes before."""

    only: PhaseName
    source: str

    def covers(self, phase: PhaseName) -> bool:
        order = list(PhaseName)
        return order.index(phase) < order.index(self.only)
