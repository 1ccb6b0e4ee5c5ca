"""What a stage is."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol, TypeVar

from plumbline_contracts.common import Info
from plumbline_contracts.coordinator import PhaseName
from plumbline_contracts.generator import ModelIdentity
from plumbline_kit.client import ServiceClient
from pydantic import BaseModel

from ..rows import Chunk, Outcome
from ..run import Run

Unit = tuple[str, Iterable[str]]
Body = TypeVar("Body", bound=BaseModel)
Ask = Callable[[str, Sequence[Any]], Awaitable[list[Outcome]]]


class Asked(Protocol):
    async def __call__(self, service: str, path: str, answer: type[Body], **query: Any) -> Body:
        """What a service says at a path about itself."""


@dataclass(frozen=True)
class Loaded:
    """`inputs`: by item, what a service is asked about it. `outcomes`: of those about which nobody need be asked.

    An item that is in neither is not for this stage, such as one without a response that a judge could score.
    """

    inputs: dict[str, Any]
    outcomes: list[Outcome] = field(default_factory=list)


class Stage(Protocol):
    @property
    def name(self) -> PhaseName: ...

    def units(self, run: Run) -> Iterator[Unit]:
        """What is to be cut into chunks: (unit, items in the order of the data set)."""

    def total(self, run: Run, planned: int) -> int:
        """For how many of the planned items there is something to do, now that the stages before have ended."""

    def service(self, unit: str) -> str:
        """Whom it calls, as `Run.client` names services."""

    def load(self, run: Run, unit: str, items: Sequence[str]) -> Loaded:
        """Read what is needed for these items. Synchronous."""

    def asking(self, run: Run, client: ServiceClient) -> Ask:
        """A function that does some inputs of a unit in one call: one outcome each, or a problem for all of them."""

    async def identity(self, run: Run, unit: str, asked: Asked) -> Any:
        """Who answers, and what all questions of a unit have in common: while that is equal, so are the answers.

        A JSON document. Called after `load`, so that it need not read the tables.
        """

    def content(self, run: Run, unit: str, input: Any) -> Any:
        """What of an input determines its answer, as a JSON document. Synchronous."""

    def lasts(self, run: Run, body: dict[str, Any]) -> bool:
        """Whether an answer may be given again. Synchronous."""


def chunks(units: Iterable[Unit], size: int) -> Iterator[Chunk]:
    """Cut units into chunks; the cut depends on the experiment alone, so that batches are the same after a restart."""
    number = 0
    for unit, items in units:
        rest = iter(items)
        while some := tuple(islice(rest, size)):
            yield Chunk(number, unit, some)
            number += 1


def who(info: Info) -> dict[str, Any]:
    """All that a service says of itself but the version of its contract."""
    return info.model_dump(exclude={"contract"})


def without_id(input: BaseModel) -> dict[str, Any]:
    return input.model_dump(mode="json", exclude={"id"})


def behind(identity: ModelIdentity) -> Any:
    """The weights: their digest, under whatever name; or the name and where it is served."""
    return identity.weights_sha256 or [identity.model, identity.source]
