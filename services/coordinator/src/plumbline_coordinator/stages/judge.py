"""Judgments of every response by every judge, on the rubric of its category."""

from collections.abc import Iterator, Sequence
from typing import Any

from plumbline_contracts import judge
from plumbline_contracts.common import Info
from plumbline_contracts.coordinator import PhaseName
from plumbline_contracts.experiment import JudgeChoice
from plumbline_kit.client import ServiceClient
from plumbline_kit.errors import ProblemError

from .. import judges
from ..rows import Outcome
from ..run import Run
from .generate import arms_and_languages, responses
from .stage import Ask, Asked, Loaded, Unit, who, without_id

_OUTAGES = (judge.UnscoredCause.BACKEND_UNAVAILABLE, judge.UnscoredCause.BACKEND_REFUSED)


class JudgeStage:
    """Unit: judge/category/arm/language. Input: JudgmentItem, of every item that has a response."""

    name = PhaseName.JUDGE

    def units(self, run: Run) -> Iterator[Unit]:
        for choice in run.spec.judges:
            for unit, language in arms_and_languages(run):
                for category in choice.rubrics:
                    yield f"{choice.name}/{category}/{unit}", run.store.ids(run.id, language, category=category)

    def total(self, run: Run, planned: int) -> int:
        found = [run.store.responses(run.id, unit) for unit, _ in arms_and_languages(run)]
        wanted = [category for choice in run.spec.judges for category in choice.rubrics]
        return sum(responses.get(category, 0) for responses in found for category in wanted)

    def service(self, unit: str) -> str:
        return f"judge:{unit.split('/')[0]}"

    def load(self, run: Run, unit: str, items: Sequence[str]) -> Loaded:
        _, _, arm, language = unit.split("/")
        loaded = Loaded({})
        for one, instruction, response in responses(run, f"{arm}/{language}", items):
            loaded.inputs[one.item] = judge.JudgmentItem(
                id=one.item,
                instruction=instruction,
                response=response["response"],
                language=language,
                reference=one.reference,
            )
        return loaded

    def asking(self, run: Run, client: ServiceClient) -> Ask:
        return _Judging(run, client).ask

    async def identity(self, run: Run, unit: str, asked: Asked) -> Any:
        """Every version of a judge is another one: which of its changes change scores, nobody can tell."""
        service, choice = self.service(unit), self._choice(run, unit)
        name = choice.rubrics[unit.split("/")[1]]
        rubrics = await asked(service, "/v1/rubrics", judge.Rubrics)
        versions = [rubric.version for rubric in rubrics.rubrics if rubric.name == name]
        return [who(await asked(service, "/info", Info)), name, versions, choice.rubric_language]

    def content(self, run: Run, unit: str, input: judge.JudgmentItem) -> Any:
        return without_id(input)

    def lasts(self, run: Run, body: dict[str, Any]) -> bool:
        """Not where the judge's model was away or refused: it may be back."""
        unscored = [score["unscored"] for score in body["scores"] if score["unscored"]]
        return all(one["cause"] not in _OUTAGES for one in unscored)

    def _choice(self, run: Run, unit: str) -> JudgeChoice:
        return next(choice for choice in run.spec.judges if choice.name == unit.split("/")[0])


class _Judging:
    def __init__(self, run: Run, client: ServiceClient) -> None:
        self.client, self.manifest = client, run.manifest
        self.choices = {choice.name: choice for choice in run.spec.judges}
        self._witness: judges.Witness | None = None

    async def ask(self, unit: str, items: Sequence[judge.JudgmentItem]) -> list[Outcome]:
        name, category, _, _ = unit.split("/")
        choice = self.choices[name]
        rubric = choice.rubrics[category]
        aspects = self.manifest["rubrics"][name][rubric]
        if self._witness is None:
            recorded = Info(**self.manifest["services"][f"judge:{name}"])
            self._witness = judges.Witness(self.client, recorded)
            await self._witness.still()  # it may have been replaced since it was looked at
        request = judge.JudgmentRequest(rubric=rubric, rubric_language=choice.rubric_language, items=list(items))
        try:
            outcomes = await judges.ask(self.client, request, aspects)
        except ProblemError:
            await self._witness.still()  # another one's refusal is not this one's
            raise
        await self._witness.still()
        return outcomes
