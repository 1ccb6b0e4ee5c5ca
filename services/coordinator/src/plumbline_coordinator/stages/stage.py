"""What a stage is."""

from collections.abc import Sequence
from typing import Protocol

from plumbline_contracts.coordinator import PhaseName

from ..run import Run
from ..store import Chunk, Outcome

Unit = tuple[str, list[str]]


class Stage(Protocol):
    @property
    def name(self) -> PhaseName: ...

    def plan(self, run: Run) -> list[Unit]:
        """What there is to do, now that the stages before have ended: (unit, items)."""

    def service(self, chunk: Chunk) -> str:
        """Whom it calls, as `Run.client` names services."""

    async def process(self, run: Run, chunk: Chunk, items: Sequence[str]) -> list[Outcome]:
        """Do some items of a chunk in one call: one outcome each, or a problem for all of them."""


def chunks(units: list[Unit], size: int) -> list[Chunk]:
    """Cut units into chunks; the cut depends on the experiment alone, so that batches are the same after a restart."""
    cut = [(unit, items[start : start + size]) for unit, items in units for start in range(0, len(items), size)]
    return [Chunk(number, unit, tuple(items)) for number, (unit, items) in enumerate(cut)]
