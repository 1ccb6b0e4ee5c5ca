"""Are the facts that an item asks for in the first line of an answer, and does an answer loop?"""

import re
from collections.abc import Mapping, Sequence

from tinyworld.prompts import find
from tinyworld.tasks import Item

FENCE_MARKS = '`"~-[] '


def item_of(source_id: str) -> Item:
    """`source_id` is written `task/key.../form` in the evaluation files."""
    task, *key, _form = source_id.split("/")
    return find(task, tuple(key))


def first_line(text: str) -> str:
    """The first line with something in it, without the marks that layouts put around answers."""
    lines = (line.strip(FENCE_MARKS) for line in text.strip().splitlines())
    return next((line for line in lines if line), "")


def _holds(line: str, wordings: Sequence[str]) -> bool:
    return any(re.search(rf"(?<!\w){re.escape(wording.lower())}(?!\w)", line) for wording in wordings)


def is_correct(row: Mapping[str, object], language: str, answer: str) -> bool:
    """`row` is a line of an instructions file. Says nothing about style: a right fact in the right language counts."""
    item, line = item_of(str(row["source_id"])), first_line(answer).lower()
    facts = item.facts[language]
    found = sum(_holds(line, wordings) for wordings in facts)
    return found >= (len(facts) if item.needed is None else item.needed)


def loop_period(tokens: Sequence[int], longest: int = 64) -> int:
    """The period with which `tokens` end, when repeated at least 4 times over at least 24 tokens; else 0."""
    for period in range(1, longest + 1):
        length = period * max(4, -(-24 // period))
        tail = tokens[-length:]
        if len(tail) == length and all(a == b for a, b in zip(tail, tail[period:], strict=False)):
            return period
    return 0
