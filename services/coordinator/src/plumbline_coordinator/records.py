"""What became of every item: the records that people export and the observations that the analyzer reads."""

from collections.abc import Iterable, Iterator
from typing import Any

from plumbline_contracts import analyzer
from plumbline_contracts.coordinator import RecordedJudgment, ResponseRecord

from .run import Run
from .store import Item, Key, Outcome

_NOT_RUN = Outcome("", None, "not run")


def keys(run: Run) -> list[tuple[str, Item]]:
    """Every (arm, item), in the order of the spec and the data set."""
    by_language = {one: [i for i in run.items if i.language == one] for one in run.spec.languages}
    return [(arm.name, item) for arm in run.spec.arms for items in by_language.values() for item in items]


class Records:
    """Read from the tables at once; one record per arm, language and item, also where there is no response."""

    def __init__(self, run: Run, units: Iterable[str]) -> None:
        """`units` are the arm/language pairs to read."""
        self.run, units = run, sorted(units)
        judged = [
            f"{one.name}/{category}/{unit}" for one in run.spec.judges for category in one.rubrics for unit in units
        ]
        self.aspects: dict[str, dict[str, list[str]]] = run.store.get(run.id).manifest["rubrics"]
        self.responses = run.store.results(run.id, "generate", units)
        self.detections = run.store.results(run.id, "detect", units)
        self.judgments = run.store.results(run.id, "judge", judged)
        self.instructions = {one: run.instructions(one) for one in run.spec.languages}

    def record(self, arm: str, one: Item) -> ResponseRecord:
        unit = f"{arm}/{one.language}"
        response = self.responses.get((unit, one.item), _NOT_RUN)
        body = response.body or {}
        instruction = self.instructions[one.language][one.item].body
        return ResponseRecord(
            arm=arm,
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
            detections=self._detections((unit, one.item)),
            judgments=[
                judgment for choice in self._judged(one) for judgment in self._scores(choice, unit, one, response)
            ],
        )

    def _detections(self, key: Key) -> list[analyzer.Detection]:
        body = self.detections.get(key, _NOT_RUN).body or {"detections": []}
        return [analyzer.Detection(**detection) for detection in body["detections"]]

    def _judged(self, one: Item) -> list[tuple[str, str]]:
        """(judge, rubric) of every judge that has a rubric for the item's category."""
        choices = self.run.spec.judges
        return [(choice.name, choice.rubrics[one.category]) for choice in choices if one.category in choice.rubrics]

    def _scores(self, choice: tuple[str, str], unit: str, one: Item, response: Outcome) -> Iterator[RecordedJudgment]:
        judge, rubric = choice
        outcome = self.judgments.get((f"{judge}/{one.category}/{unit}", one.item), _NOT_RUN)
        if outcome.body is None:
            cause = f"no response: {response.cause}" if response.body is None else outcome.cause
            for aspect in self.aspects[judge][rubric]:
                yield _recorded(judge, rubric, aspect, None, None, cause)
            return
        for score in outcome.body["scores"]:
            unscored: dict[str, Any] | None = score["unscored"]
            missing = unscored["cause"] if unscored else None
            yield _recorded(judge, outcome.body["rubric"], score["aspect"], score["score"], score["rationale"], missing)


def _recorded(
    judge: str, rubric: str, aspect: str, score: float | None, rationale: str | None, missing: str | None
) -> RecordedJudgment:
    return RecordedJudgment(
        judge=judge, rubric=rubric, aspect=aspect, score=score, rationale=rationale, missing=missing
    )
