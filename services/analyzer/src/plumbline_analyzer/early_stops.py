"""Loops that were ended early: what that saved, and whether those that were let run show that it changed a verdict."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from plumbline_contracts.analyzer import Detector, EarlyStop, LoopAudit, Observation

from .loop_scores import LoopScores
from .statistics import rates

# It is about the limit itself, which a text that is ended does not reach.
_NOT_COMPARED = Detector.TRUNCATED


@dataclass
class _Cell:
    counts: Counter[str] = field(default_factory=Counter)
    changed: Counter[Detector | None] = field(default_factory=Counter)


class EarlyStops:
    """Counts, by arm and language."""

    def __init__(self) -> None:
        self._cells: defaultdict[tuple[str, str], _Cell] = defaultdict(_Cell)
        self.scores = LoopScores()

    def add(self, one: Observation) -> None:
        if one.response is None:
            return
        cell = self._cells[one.arm, one.language]
        ended = one.loop is not None and one.finish_reason == "loop"
        audited = one.loop is not None and one.audited
        cell.counts.update(
            n=1,
            ended=ended,
            audited=one.audited,
            audited_loops=audited,
            ran_on=audited and one.finish_reason == "length",
            tokens=one.completion_tokens or 0,
            tokens_saved=one.loop.tokens_saved if one.loop is not None and ended else 0,
        )
        if ended or audited:
            self.scores.add(one)
        if audited and one.detections and one.detections_if_ended:
            cell.counts["compared"] += 1
            cell.changed.update(_changed(one))

    def early_stops(self, arms: Sequence[str], languages: Sequence[str]) -> list[EarlyStop]:
        """Empty where no loop was ended and nothing was audited."""
        if not any(cell.counts["ended"] or cell.counts["audited"] for cell in self._cells.values()):
            return []
        return [_early_stop(arm, language, self._cells[arm, language]) for language in languages for arm in arms]

    def loop_audits(self, confidence: float) -> list[LoopAudit]:
        """The first is of all detectors together. Empty where no loop was audited."""
        n = sum(cell.counts["compared"] for cell in self._cells.values())
        return list(self._loop_audits(n, confidence)) if n else []

    def _loop_audits(self, n: int, confidence: float) -> Iterator[LoopAudit]:
        for detector in (None, *Detector):
            changed = sum(cell.changed[detector] for cell in self._cells.values())
            yield LoopAudit(detector=detector, n=n, changed=changed, at_most=rates.at_most(changed, n, confidence))


def _early_stop(arm: str, language: str, cell: _Cell) -> EarlyStop:
    counts = cell.counts
    names = ("n", "ended", "audited", "audited_loops", "ran_on", "compared", "tokens", "tokens_saved")
    whole = counts["tokens"] + counts["tokens_saved"]
    return EarlyStop(
        arm=arm,
        language=language,
        changed=cell.changed[None],
        saved=counts["tokens_saved"] / whole if whole else None,
        **{name: counts[name] for name in names},
    )


def _changed(one: Observation) -> Iterator[Detector | None]:
    """The detectors whose findings on both texts differ; and null, once, if there is one that is compared."""
    if_ended = {detection.detector: detection.finding for detection in one.detections_if_ended}
    differ = [
        detection.detector
        for detection in one.detections
        if detection.finding != if_ended.get(detection.detector, detection.finding)
    ]
    yield from differ
    if any(detector != _NOT_COMPARED for detector in differ):
        yield None
