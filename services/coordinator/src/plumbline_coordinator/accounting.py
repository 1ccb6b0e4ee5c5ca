"""What the generator counted: tokens of prompts, which of them it had cached, of completions, and saved with loops.

Results must be the same whatever ran before, and what is cached is not; so this is kept beside them, in the same
transaction.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from plumbline_contracts.coordinator import Usage
from plumbline_contracts.generator import FinishReason, Generation
from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from .rows import Outcome
from .tables import usage

COUNTED = (
    "prompt_tokens",
    "cached_prompt_tokens",
    "computed_prompt_tokens",
    "completion_tokens",
    "tokens_saved",
)


def used(one: Generation) -> dict[str, int]:
    """By the names of `COUNTED`."""
    cached = one.cached_prompt_tokens
    ended = one.loop is not None and one.finish_reason == FinishReason.LOOP
    return {
        "prompt_tokens": one.prompt_tokens,
        "cached_prompt_tokens": cached or 0,
        "computed_prompt_tokens": 0 if cached is None else one.prompt_tokens - cached,
        "completion_tokens": one.completion_tokens,
        "tokens_saved": one.loop.tokens_saved if one.loop is not None and ended else 0,
    }


def tokens(counted: Mapping[str, int]) -> int:
    """Those that a limit bounds. What was cached was sent, too."""
    return counted.get("prompt_tokens", 0) + counted.get("completion_tokens", 0)


def sums(batches: Iterable[tuple[str, list[Outcome]]]) -> dict[str, Counter[str]]:
    """By unit, of what was asked for now; what was reused cost nothing."""
    found: dict[str, Counter[str]] = {}
    for unit, outcomes in batches:
        for one in outcomes:
            if one.used is not None and one.origin is None:
                found.setdefault(unit, Counter()).update(one.used)
    return found


def add(connection: Connection, experiment: str, attempt: int, counted: Mapping[str, Mapping[str, int]]) -> None:
    """To what is there."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    rows = [
        {"experiment": experiment, "attempt": attempt, "unit": unit} | {name: counts[name] for name in COUNTED}
        for unit, counts in counted.items()
    ]
    if rows:
        insert = dialect.insert(usage)
        further = {name: usage.c[name] + insert.excluded[name] for name in COUNTED}
        connection.execute(insert.on_conflict_do_update(index_elements=usage.primary_key.columns, set_=further), rows)


def read(connection: Connection, experiment: str) -> list[Usage]:
    """Over all attempts, by arm and language."""
    totals = [func.sum(usage.c[name]).label(name) for name in COUNTED]
    query = select(usage.c.unit, *totals).where(usage.c.experiment == experiment).group_by(usage.c.unit)
    found = []
    for row in connection.execute(query.order_by(usage.c.unit)):
        arm, language = row.unit.split("/")
        found.append(Usage(arm=arm, language=language, **{name: int(row._mapping[name]) for name in COUNTED}))
    return found
