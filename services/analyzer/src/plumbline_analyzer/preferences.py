"""Win rates and strengths from the verdicts on pairs of responses."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import combinations

import numpy as np
from plumbline_contracts.analyzer import ComparedPair, Strength, WinRate
from plumbline_contracts.judge import Verdict

from .judges import estimate
from .means import number
from .statistics import pairwise
from .statistics.agreement import Value
from .statistics.bootstrap import Bootstrap
from .table import UNKNOWN_CAUSE, Table

_SCORE = {Verdict.A: 1.0, Verdict.TIE: 0.5, Verdict.B: 0.0}


def win_rates(table: Table, bootstrap: Bootstrap) -> Iterator[WinRate]:
    """Later arm against earlier arm, per judge and language, where any such pair was compared."""
    for (judge, language), verdicts in _groups(table).items():
        for baseline, arm in combinations(range(len(table.arms)), 2):
            mine = [pair for pair in verdicts if {pair.arm_a, pair.arm_b} == {table.arms[arm], table.arms[baseline]}]
            if mine:
                yield _win_rate(table, judge, language, arm, baseline, mine, bootstrap)


def _groups(table: Table) -> dict[tuple[str, str], list[ComparedPair]]:
    groups = defaultdict(list)
    for pair in sorted(table.request.comparisons, key=lambda one: (one.item, one.arm_a, one.arm_b, one.rubric)):
        groups[pair.judge, pair.language].append(pair)
    order = {
        key: place for place, key in enumerate((j.name, one) for j in table.request.judges for one in table.languages)
    }
    return dict(sorted(groups.items(), key=lambda group: order[group[0]]))


def _win_rate(
    table: Table, judge: str, language: str, arm: int, baseline: int, mine: list[ComparedPair], bootstrap: Bootstrap
) -> WinRate:
    decided = [pair for pair in mine if pair.verdict in _SCORE]
    scores = np.array([_score(pair, table.arms[arm]) for pair in decided])
    items, codes = np.unique([pair.item for pair in mine], return_inverse=True)
    rows = np.array([pair.verdict in _SCORE for pair in mine])
    totals, counts = np.zeros((len(items), 1)), np.zeros((len(items), 1))
    np.add.at(totals[:, 0], codes[rows], scores)
    np.add.at(counts[:, 0], codes[rows], 1)
    low, high = bootstrap.ratios(totals, counts)
    rate = scores.mean() if len(scores) else np.nan
    missing = Counter(pair.missing or UNKNOWN_CAUSE for pair in mine if pair.verdict == Verdict.UNSCORED)
    undecided = len(mine) - len(decided)
    return WinRate(
        judge=judge,
        language=language,
        arm=table.arms[arm],
        baseline=table.arms[baseline],
        n=len(decided),
        wins=int((scores == 1).sum()),
        ties=int((scores == 0.5).sum()),
        losses=int((scores == 0).sum()),
        inconsistent=sum(pair.verdict == Verdict.INCONSISTENT for pair in mine),
        missing=dict(sorted(missing.items())),
        rate=estimate(Value(rate, low[0], high[0])),
        length_controlled=estimate(
            _length_controlled(table, language, arm, baseline, decided, scores, bootstrap.confidence)
        ),
        worst=number(scores.sum() / len(mine)),
        best=number((scores.sum() + undecided) / len(mine)),
    )


def _score(pair: ComparedPair, arm: str) -> float:
    return _SCORE[pair.verdict] if pair.arm_a == arm else 1 - _SCORE[pair.verdict]


def _length_controlled(
    table: Table,
    language: str,
    arm: int,
    baseline: int,
    decided: list[ComparedPair],
    scores: np.ndarray[tuple[int], np.dtype[np.float64]],
    confidence: float,
) -> Value:
    places = {item: place for place, item in enumerate(table.items)}
    items = np.array([places.get(pair.item, -1) for pair in decided], dtype=np.int64)
    lengths = table.length[table.languages.index(language)]
    longer = np.where(items >= 0, lengths[arm, items] - lengths[baseline, items], np.nan)
    known = ~np.isnan(longer)
    return pairwise.length_controlled(items[known], scores[known], longer[known], confidence)


def strengths(table: Table, bootstrap: Bootstrap) -> Iterator[Strength]:
    arms = {arm: place for place, arm in enumerate(table.arms)}
    for (judge, language), every in _groups(table).items():
        mine = [pair for pair in every if pair.verdict in _SCORE]
        verdicts = pairwise.Verdicts(
            item=np.unique([pair.item for pair in mine], return_inverse=True)[1],
            first=np.array([arms[pair.arm_a] for pair in mine], dtype=np.int64),
            second=np.array([arms[pair.arm_b] for pair in mine], dtype=np.int64),
            score=np.array([_SCORE[pair.verdict] for pair in mine]),
        )
        found = pairwise.strengths(verdicts, len(arms), bootstrap.confidence) if mine else []
        for arm, value in zip(table.arms, found, strict=False):
            n = sum(arm in (pair.arm_a, pair.arm_b) for pair in mine)
            if n:
                yield Strength(judge=judge, language=language, arm=arm, n=n, strength=estimate(value))
