"""Verdicts on pairs: each order by itself, both together, and what the order did over many pairs."""

from collections.abc import Sequence
from typing import Literal

from plumbline_contracts.judge import Comparison, OrderEffect, OrderVerdict, Verdict

from . import parse
from .backend import Reply
from .dialogue import Talk

Read = tuple[Verdict, str | None] | parse.Unusable
_SWAPPED = {Verdict.A: Verdict.B, Verdict.B: Verdict.A, Verdict.TIE: Verdict.TIE}


def read(reply: Reply, material: str) -> Read:
    """The verdict on the response shown first (A) and second (B), and the rationale, or why there is none."""
    if reply.fault is not None:
        return parse.Unusable(reply.fault.cause, reply.fault.detail)
    try:
        return parse.preference(reply.text or "", material)
    except parse.Unusable as error:
        return error


def in_order(shown_first: Literal["a", "b"], talk: Talk[Read]) -> OrderVerdict:
    outcome = talk.first if talk.second is None else talk.second
    usable = not isinstance(outcome, parse.Unusable)
    verdict, rationale = (Verdict.UNSCORED, None) if isinstance(outcome, parse.Unusable) else outcome
    return OrderVerdict(
        shown_first=shown_first,
        verdict=verdict if shown_first == "a" or not usable else _SWAPPED[verdict],
        rationale=rationale,
        unscored=outcome.unscored if isinstance(outcome, parse.Unusable) else None,
        raw_reply=talk.reply.text,
        repair=talk.repair,
    )


def together(id: str, orders: Sequence[OrderVerdict]) -> Comparison:
    """A verdict that changes with the order is `inconsistent`, never a tie; one that is missing leaves none."""
    missing = next((order.unscored for order in orders if order.unscored is not None), None)
    verdicts = {order.verdict for order in orders}
    said = [f"{order.shown_first} shown first: {order.rationale or '-'}" for order in orders]
    verdict = Verdict.UNSCORED if missing else verdicts.pop() if len(verdicts) == 1 else Verdict.INCONSISTENT
    rationale = None if missing else "\n".join(said)
    return Comparison(id=id, verdict=verdict, rationale=rationale, unscored=missing, orders=list(orders))


def order_effect(comparisons: Sequence[Comparison]) -> OrderEffect:
    """Of comparisons in both orders, the one with `a` first before the other."""
    both = [[order.verdict for order in one.orders] for one in comparisons if one.verdict != Verdict.UNSCORED]
    return OrderEffect(
        both=len(both),
        flips=sum(a_first != b_first for a_first, b_first in both),
        first=both.count([Verdict.A, Verdict.B]),
        second=both.count([Verdict.B, Verdict.A]),
    )
