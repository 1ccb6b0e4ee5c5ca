"""What was answered before to the same question is not asked again: keys, looking up, keeping (decision 18)."""

import asyncio
import hashlib
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from plumbline_kit.errors import ProblemError
from pydantic import BaseModel

from .recorded import outcomes
from .rows import Outcome
from .run import Run
from .stages.stage import Loaded, Stage
from .waiting import Tell, patiently

# Bump when the coordinator makes something else of the same answer: results of before are then not reused.
FORM = 1
_FRESH_S = 0.5  # what services said of themselves, and what was made of it, is asked anew after that
_KEY_BYTES = 16
Body = TypeVar("Body", bound=BaseModel)


class Told:
    """What services say of themselves, each asked once, and who answers a unit by that: good for a moment."""

    def __init__(self, run: Run, stage: Stage) -> None:
        self.run, self.stage, self._until = run, stage, time.monotonic() + _FRESH_S
        self._said, self._identities, self._asking = dict[Any, Any](), dict[str, str](), asyncio.Lock()

    def is_fresh(self) -> bool:
        return time.monotonic() < self._until

    async def identity(self, unit: str) -> str:
        if unit not in self._identities:
            told = await self.stage.identity(self.run, unit, self._ask)
            self._identities[unit] = digest([FORM, self.stage.name, told]).hex()
        return self._identities[unit]

    async def _ask(self, service: str, path: str, answer: type[Body], **query: Any) -> Body:
        about = (service, path, *sorted(query.items()))
        async with self._asking:
            if about not in self._said:
                async with self.run.client(service) as client:
                    self._said[about] = await client.call("GET", path, answer, **query)
        return self._said[about]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Keys:
    """`identity` of who answers, null where that cannot be told: then nothing is kept."""

    identity: str | None
    by_item: dict[str, bytes]


class Reuse:
    """Of one stage in one turn."""

    def __init__(self, run: Run, stage: Stage, tell: Tell) -> None:
        self.run, self.stage, self.tell, self._told = run, stage, tell, Told(run, stage)

    async def look_up(self, unit: str, loaded: Loaded) -> Keys:
        """Move what is known from the inputs to the outcomes. One query, whatever the number of inputs."""
        if (recorded := self.run.recorded) is not None and recorded.covers(self.stage.name):
            stage, items = self.stage.name, list(loaded.inputs)
            take = partial(asyncio.to_thread, outcomes, self.run.store, recorded, stage, unit, items)
            _move(await patiently(take, self.tell), loaded)
        identity = await self._identity(unit) if loaded.inputs else None
        if identity is None:
            return Keys(None, {})
        keys = Keys(identity, await asyncio.to_thread(self._keys, unit, identity, loaded.inputs))
        if self.run.spec.reuse:
            find = partial(asyncio.to_thread, self._find, keys.by_item)
            _move(await patiently(find, self.tell), loaded)
        return keys

    async def known(self, unit: str, loaded: Loaded) -> list[Outcome]:
        """What was answered before, of an experiment that is not begun. Nobody is waited for: a service that is away
        raises its problem. What no service could do, such as with weights that are not trained yet, is not known."""
        if not (loaded.inputs and self.run.spec.reuse):
            return []
        try:
            identity = await self._who(unit)
        except ProblemError as error:
            if error.status >= 500:
                raise
            return []
        keys = await asyncio.to_thread(self._keys, unit, identity, loaded.inputs)
        return list(await asyncio.to_thread(self._find, keys))

    async def marked(self, unit: str, keys: Keys, given: list[Outcome]) -> list[Outcome]:
        """With their keys, those that may be given again; without, when somebody else answers by now, or nobody.

        Nobody is waited for: what was paid for is to be stored.
        """
        try:
            same = keys.identity is not None and keys.identity == await self._who(unit)
        except ProblemError:
            same = False
        return self._marked(keys, given) if same else given

    def _marked(self, keys: Keys, given: list[Outcome]) -> list[Outcome]:
        return [replace(one, key=keys.by_item[one.item]) if self._lasts(one) else one for one in given]

    async def _identity(self, unit: str) -> str | None:
        """A service that is away is waited for, as it will be needed; one that cannot tell is not reused."""
        try:
            return await patiently(partial(self._who, unit), self.tell)
        except ProblemError:
            return None

    async def _who(self, unit: str) -> str:
        if not self._told.is_fresh():
            self._told = Told(self.run, self.stage)
        return await self._told.identity(unit)

    def _keys(self, unit: str, identity: str, inputs: dict[str, Any]) -> dict[str, bytes]:
        content = self.stage.content
        return {item: digest([identity, content(self.run, unit, given)]) for item, given in inputs.items()}

    def _find(self, keys: dict[str, bytes]) -> Iterable[Outcome]:
        known = self.run.store.answered(self.run.id, list(keys.values()))
        found = [replace(known[key], item=item) for item, key in keys.items() if key in known]
        return [one for one in found if self._lasts(one)]

    def _lasts(self, outcome: Outcome) -> bool:
        """Failures are asked for again, and what an outage left undone."""
        return outcome.cause is None and outcome.body is not None and self.stage.lasts(self.run, outcome.body)


def _move(known: Iterable[Outcome], loaded: Loaded) -> None:
    for outcome in known:
        del loaded.inputs[outcome.item]
        loaded.outcomes.append(outcome)


def digest(content: Any) -> bytes:
    """Of a JSON document, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()[:_KEY_BYTES]
