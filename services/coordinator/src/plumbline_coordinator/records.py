"""What became of every item: the records that people export and the observations that the analyzer reads."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from plumbline_contracts import analyzer
from plumbline_contracts.coordinator import PhaseName, RecordedJudgment, ResponseRecord

from . import panels
from .rows import Item, Outcome
from .run import Run
from .stages.generate import arms_and_languages

_NOT_RUN = Outcome("", None, "not run")
_PAGE = 500


def size(run: Run) -> int:
    """How many records there are: one per arm, language and item."""
    return len(run.spec.arms) * sum(run.store.items_per_language(run.id).values())


def records(
    run: Run, start: int = 0, wanted: Callable[[str, str], bool] = lambda arm, language: True, at_once: int = _PAGE
) -> Iterator[tuple[int, ResponseRecord]]:
    """The records from number `start` on, in the order of the spec and the data set, with their numbers.

    Those of the arms and languages that are `wanted`; `at_once` are read and held in memory.
    """
    have, first = run.store.items_per_language(run.id), 0
    for unit, language in arms_and_languages(run):
        last = first + have.get(language, 0)
        positions = range(max(start, first), last, at_once) if wanted(unit.split("/")[0], language) else ()
        for position in positions:
            items = run.store.items_at(run.id, language, position - first, min(position + at_once, last) - first)
            page = _Page(run, unit, items)
            yield from enumerate((page.record(one) for one in items), position)
        first = last


class _Page:
    """What became of some items of one arm and language, also where there is no response."""

    def __init__(self, run: Run, unit: str, items: Sequence[Item]) -> None:
        self.run, self.unit = run, unit
        self.arm, language = unit.split("/")
        ids = [one.item for one in items]
        self.responses = run.store.outcomes(run.id, PhaseName.GENERATE, unit, ids)
        self.detections = run.store.outcomes(run.id, PhaseName.DETECT, unit, ids)
        self.instructions = run.instructions(language, items)
        self.judgments: dict[str, dict[str, Outcome]] = {}
        for choice in run.spec.judges:
            for category in choice.rubrics:
                of_category = [one.item for one in items if one.category == category]
                judged = f"{choice.name}/{category}/{unit}"
                self.judgments[judged] = run.store.outcomes(run.id, PhaseName.JUDGE, judged, of_category)

    def record(self, one: Item) -> ResponseRecord:
        response = self.responses.get(one.item, _NOT_RUN)
        body = response.body or {}
        instruction = self.instructions[one.item].body
        return ResponseRecord(
            arm=self.arm,
            language=one.language,
            item=one.item,
            category=one.category,
            instruction=instruction and instruction["text"],
            response=body.get("response"),
            raw_response=body.get("raw_text"),
            missing=response.cause,
            finish_reason=body.get("finish_reason"),
            prompt_tokens=body.get("prompt_tokens"),
            completion_tokens=body.get("completion_tokens"),
            loop=body.get("loop"),
            audited=body.get("audited", False),
            flags=instruction["flags"] if instruction else [],
            detections=self._detections(one.item, "detections"),
            detections_if_ended=self._detections(one.item, "if_ended"),
            judgments=self._judgments(one, response),
        )

    def _detections(self, item: str, which: str) -> list[analyzer.Detection]:
        body = self.detections.get(item, _NOT_RUN).body or {}
        return [analyzer.Detection(**detection) for detection in body.get(which, [])]

    def _judgments(self, one: Item, response: Outcome) -> list[RecordedJudgment]:
        """The judges', then what the panels make of them."""
        given = [judgment for choice in self._judged(one) for judgment in self._scores(choice, one, response)]
        return given + [judgment for panel in self.run.spec.panels for judgment in panels.judgments(panel, given)]

    def _judged(self, one: Item) -> list[tuple[str, str]]:
        """(judge, rubric) of every judge that has a rubric for the item's category."""
        choices = self.run.spec.judges
        return [(choice.name, choice.rubrics[one.category]) for choice in choices if one.category in choice.rubrics]

    def _scores(self, choice: tuple[str, str], one: Item, response: Outcome) -> Iterator[RecordedJudgment]:
        judge, rubric = choice
        outcome = self.judgments[f"{judge}/{one.category}/{self.unit}"].get(one.item, _NOT_RUN)
        if outcome.body is None:
            cause = f"no response: {response.cause}" if response.body is None else outcome.cause
            for aspect in self.run.manifest["rubrics"][judge][rubric]:
                yield _recorded(judge, rubric, {"aspect": aspect}, cause, False)
            return
        repaired = outcome.body.get("repair") is not None
        for score in outcome.body["scores"]:
            unscored: dict[str, Any] | None = score["unscored"]
            yield _recorded(judge, outcome.body["rubric"], score, unscored["cause"] if unscored else None, repaired)


def _recorded(judge: str, rubric: str, score: dict[str, Any], missing: str | None, repaired: bool) -> RecordedJudgment:
    """`score` may be as judges answered before contract 1.1.0, or say no more than the aspect."""
    given = {name: score.get(name) for name in ("score", "stated", "rationale", "confidence")}
    return RecordedJudgment(
        judge=judge, rubric=rubric, aspect=score["aspect"], missing=missing, repaired=repaired, **given
    )
