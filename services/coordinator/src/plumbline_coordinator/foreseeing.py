"""How much of an experiment that is not begun was answered before: its stages, on what reuse would give them."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from plumbline_contracts.coordinator import PhaseName
from plumbline_kit.errors import ProblemError

from .check import Checked, Draft
from .reuse import Reuse
from .rows import Item, Outcome
from .stages import STAGES
from .stages.stage import Stage
from .store import Store
from .waiting import Tell

_AT_ONCE = 512


class Foreseen(Store):
    """The tables as they would be if nothing was done but what is known: the items of a draft, and what was found."""

    def __init__(self, store: Store, items: Iterable[Item]) -> None:
        super().__init__(store.engine)
        self._all = sorted(items, key=lambda one: one.position)
        self._by_id = {(one.language, one.item): one for one in self._all}
        self._found: defaultdict[tuple[str, str], dict[str, Outcome]] = defaultdict(dict)

    def ids(self, id: str, language: str, *, category: str | None = None, foreign: bool = False) -> Iterator[str]:
        for one in self._all:
            if one.language == language and category in (None, one.category) and (one.translate or not foreign):
                yield one.item

    def items(self, id: str, language: str, ids: Iterable[str]) -> list[Item]:
        return [self._by_id[language, one] for one in ids]

    def outcomes(self, id: str, stage: str, unit: str, items: Iterable[str]) -> dict[str, Outcome]:
        found = self._found[stage, unit]
        return {one: found.get(one, Outcome(one, None, "not answered before")) for one in items}

    def find(self, stage: str, unit: str, outcomes: Iterable[Outcome]) -> None:
        self._found[stage, unit] |= {one.item: one for one in outcomes}


@dataclass(frozen=True)
class Known:
    """How many items of a stage need nobody to be asked, and how many batches have others, each of them a call."""

    items: int
    calls: int


async def cached(checked: Checked) -> dict[PhaseName, Known | None]:
    """By phase; null where a service must say who it is and is away."""
    draft = checked.draft
    store = await asyncio.to_thread(Foreseen, draft.store, checked.items or [])
    run = Draft(store, draft.settings, checked.spec, draft.files)
    return {name: await _of_stage(run, store, stage) for name, stage in STAGES.items()}


async def _of_stage(run: Draft, store: Foreseen, stage: Stage) -> Known | None:
    async def unheard(message: str | None) -> None:
        """Nobody is waited for, so there is nothing to tell."""

    reuse, count, lacking = Reuse(run, stage, Tell(unheard)), 0, set[tuple[str, int]]()
    try:
        for unit, ids in stage.units(run):
            numbered = enumerate(ids)
            while some := {id: number for number, id in islice(numbered, _AT_ONCE)}:
                known = await reuse.known(unit, await asyncio.to_thread(stage.load, run, unit, [*some]))
                store.find(stage.name, unit, known)
                count += len(known)
                others = some.keys() - {one.item for one in known}
                lacking |= {(unit, some[item] // run.settings.batch_size) for item in others}
    except ProblemError:
        return None
    return Known(count, len(lacking))
