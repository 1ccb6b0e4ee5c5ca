"""What the judges' scores are worth: their agreement, and whether they put the arms in the same order."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from plumbline_contracts.analyzer import Agreement, ArmRanking, Estimate
from scipy import stats

from .means import causes, number
from .statistics import agreement as statistic
from .statistics.agreement import Value
from .statistics.bootstrap import Bootstrap
from .table import Measure, Table


def estimate(value: Value) -> Estimate:
    return Estimate(value=number(value.value), low=number(value.low), high=number(value.high))


def agreements(table: Table, bootstrap: Bootstrap) -> Iterator[Agreement]:
    for first, second in _shared(table):
        for place, language in enumerate(table.languages):
            items = np.flatnonzero(first.expected[place] & second.expected[place])
            x, y = (measure.values[place][:, items].T for measure in (first, second))
            found = statistic.agreement(x, y, bootstrap)
            lost = np.isnan(x), np.isnan(y)
            why = [measure.causes[place][:, items].T for measure in (first, second)]
            yield Agreement(
                judge=first.judge or "",
                other=second.judge or "",
                language=language,
                aspect=first.name,
                n=found.n,
                missing=causes(table, np.concatenate([why[0][lost[0]], why[1][lost[1] & ~lost[0]]])),
                kappa=estimate(found.kappa),
                alpha=estimate(found.alpha),
                spearman=estimate(found.spearman),
                exact=number(found.exact),
                bias=estimate(found.bias),
            )


def _shared(table: Table) -> Iterator[tuple[Measure, Measure]]:
    """Every two judges, in the order of the request, and the aspects that both score."""
    for first, second in combinations(table.aspects.values(), 2):
        for aspect, measure in first.items():
            if aspect in second:
                yield measure, second[aspect]


def rankings(table: Table) -> Iterator[ArmRanking]:
    """On the responses that both judges scored, so that the order is all that differs."""
    for first, second in _shared(table):
        for place, language in enumerate(table.languages):
            both = ~np.isnan(first.values[place]) & ~np.isnan(second.values[place])
            arms = np.flatnonzero(both.any(1))
            x, y = (
                np.array([measure.values[place, arm][both[arm]].mean() for arm in arms]) for measure in (first, second)
            )
            varied = len(arms) > 1 and len(set(x)) > 1 and len(set(y)) > 1
            yield ArmRanking(
                judge=first.judge or "",
                other=second.judge or "",
                language=language,
                aspect=first.name,
                arms=len(arms),
                kendall=number(stats.kendalltau(x, y).statistic) if varied else None,
                spearman=number(stats.spearmanr(x, y).statistic) if varied else None,
                best=table.arms[arms[np.argmax(x)]] if len(arms) else None,
                best_by_other=table.arms[arms[np.argmax(y)]] if len(arms) else None,
            )
