"""What judges gave loops that were ended, beside what they gave those that were let run."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from plumbline_contracts.analyzer import LoopScore, Observation
from scipy import stats

from .statistics.bootstrap import Floats


class LoopScores:
    """Counts of each score, by arm, judge, aspect, and whether the loop was let run; null where there is none."""

    def __init__(self) -> None:
        self._counts: defaultdict[tuple[str, str, str, bool], Counter[float | None]] = defaultdict(Counter)

    def add(self, one: Observation) -> None:
        """Of a loop that was ended, or let run."""
        for score in one.scores:
            self._counts[one.arm, score.judge, score.aspect, one.audited][score.score] += 1

    def compared(self, arms: Sequence[str], confidence: float) -> list[LoopScore]:
        return list(self._compared(arms, confidence))

    def _compared(self, arms: Sequence[str], confidence: float) -> Iterator[LoopScore]:
        judged = dict.fromkeys((judge, aspect) for _, judge, aspect, _ in self._counts)
        for judge, aspect in judged:
            for arm in arms:
                ended, whole = (self._counts.get((arm, judge, aspect, audited)) for audited in (False, True))
                if ended is not None and whole is not None:
                    yield _loop_score(judge, aspect, arm, ended, whole, confidence)


def _loop_score(
    judge: str,
    aspect: str,
    arm: str,
    ended: Counter[float | None],
    whole: Counter[float | None],
    confidence: float,
) -> LoopScore:
    first, second = _scores(ended), _scores(whole)
    both = len(first) > 0 and len(second) > 0
    low, high = _welch(first, second, confidence)
    return LoopScore(
        judge=judge,
        aspect=aspect,
        arm=arm,
        ended_n=len(first),
        ended=float(first.mean()) if len(first) else None,
        ended_missing=ended[None],
        whole_n=len(second),
        whole=float(second.mean()) if len(second) else None,
        whole_missing=whole[None],
        difference=float(first.mean() - second.mean()) if both else None,
        low=low,
        high=high,
    )


def _scores(counts: Counter[float | None]) -> Floats:
    known = {score: count for score, count in counts.items() if score is not None}
    return np.repeat(np.array(list(known), float), list(known.values()))


def _welch(first: Floats, second: Floats, confidence: float) -> tuple[float | None, float | None]:
    if min(len(first), len(second)) < 2 or not (np.ptp(first) or np.ptp(second)):
        return None, None
    interval = stats.ttest_ind(first, second, equal_var=False).confidence_interval(confidence)
    return float(interval.low), float(interval.high)
