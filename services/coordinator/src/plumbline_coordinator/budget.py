"""What an experiment may spend, and what it has spent."""

from collections.abc import Collection
from typing import Any

from plumbline_contracts.coordinator import PhaseName
from plumbline_contracts.experiment import Limits
from sqlalchemy import Row

from .transactions import hours

# Requests that cost: those of these stages. Looking for critical errors and training are not counted as calls.
COUNTED = (PhaseName.TRANSLATE, PhaseName.GENERATE, PhaseName.JUDGE)


def exceeded(row: Row[Any], names: Collection[str], under_way: int = 0) -> str | None:
    """Which of these limits the experiment has reached, counting calls that are under way, and what to do about it."""
    limits = Limits.model_validate(row.limits or {})
    spent = {"calls": row.calls + under_way, "tokens": row.tokens, "hours": hours(row)}
    for name, most in limits:
        if name in names and most is not None and spent[name] >= most:
            return (
                f"Its limit of {most:g} {name} is reached. What there is stays. Raise it to go on: "
                f"`plumbline resume {row.id} --{name} {2 * most:g}`, or cancel the experiment."
            )
    return None
