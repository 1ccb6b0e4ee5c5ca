"""Ask a judge model; where its reply is unusable, show it the error and ask once more."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from plumbline_contracts.judge import Repair, UnscoredCause

from . import prompts
from .backend import Asker, Batch, Reply
from .prompts import Messages

Read = TypeVar("Read")
# What another try may mend. An "N/A" is an answer; what the server refuses, it refuses again.
_MENDABLE = {
    UnscoredCause.EMPTY_REPLY,
    UnscoredCause.TRUNCATED_REPLY,
    UnscoredCause.UNPARSABLE_REPLY,
    UnscoredCause.MISSING_ASPECT,
    UnscoredCause.OUT_OF_RANGE,
    UnscoredCause.BACKEND_REFUSED,
}
_LONGEST_SHOWN = 8000


@dataclass(frozen=True)
class Talk(Generic[Read]):
    """What was read in the first reply, and in the second where there is one."""

    first: Read
    second: Read | None
    reply: Reply
    repair: Repair | None


class Dialogue:
    def __init__(self, asker: Asker, repair: bool) -> None:
        self._asker, self._repair = asker, repair

    async def ask(
        self,
        messages: Messages,
        schema: dict[str, Any],
        batch: Batch,
        language: str,
        read: Callable[[Reply], Read],
        faults: Callable[[Read], Mapping[str, UnscoredCause]],
    ) -> Talk[Read]:
        """`faults` says by name what is missing in what was read, and why; `language` is that of the prompts."""
        reply = await self._asker.ask(messages, schema, batch)
        first = read(reply)
        wrong = {name: cause for name, cause in faults(first).items() if cause in _MENDABLE}
        if not (self._repair and wrong and _is_the_models(reply)):
            return Talk(first, None, reply, None)
        error = prompts.error(language, wrong)
        again = prompts.after_error(messages, (reply.text or "")[:_LONGEST_SHOWN], error)
        second = await self._asker.ask(again, schema, batch)
        return Talk(first, read(second), second, Repair(error=error, raw_reply=reply.text))


def _is_the_models(reply: Reply) -> bool:
    """Whether the fault is in what the model wrote, and not one of its server."""
    return reply.fault is None or reply.fault.cause == UnscoredCause.TRUNCATED_REPLY
