"""Judgments of every response by every judge, on the rubric of its category."""

import asyncio
from collections.abc import Sequence

from plumbline_contracts import judge
from plumbline_contracts.common import Info
from plumbline_contracts.coordinator import PhaseName
from plumbline_kit.errors import ProblemError

from .. import judges
from ..run import Run
from ..store import Chunk, Outcome
from .detect import responded
from .stage import Unit


class JudgeStage:
    """Unit: judge/category/arm/language."""

    name = PhaseName.JUDGE

    def plan(self, run: Run) -> list[Unit]:
        category = {(one.language, one.item): one.category for one in run.items}
        units = []
        for choice in run.spec.judges:
            for unit, items in responded(run):
                language = unit.split("/")[1]
                for wanted in choice.rubrics:
                    mine = [item for item in items if category[language, item] == wanted]
                    units.append((f"{choice.name}/{wanted}/{unit}", mine))
        return units

    def service(self, chunk: Chunk) -> str:
        return f"judge:{chunk.unit.split('/')[0]}"

    async def process(self, run: Run, chunk: Chunk, items: Sequence[str]) -> list[Outcome]:
        service = self.service(chunk)
        request = await asyncio.to_thread(_request, run, chunk.unit, items)
        manifest = (await asyncio.to_thread(run.store.get, run.id)).manifest
        aspects = manifest["rubrics"][chunk.unit.split("/")[0]][request.rubric]
        recorded = Info(**manifest["services"][service])
        async with run.client(service) as client:
            await judges.still(client, recorded)
            try:
                outcomes = await judges.ask(client, request, aspects)
            except ProblemError:
                await judges.still(client, recorded)  # another one's refusal is not this one's
                raise
            await judges.still(client, recorded)  # it may have been replaced since it was looked at
            return outcomes


def _request(run: Run, unit: str, items: Sequence[str]) -> judge.JudgmentRequest:
    judge_name, category, arm_name, language = unit.split("/")
    rubric = next(choice.rubrics[category] for choice in run.spec.judges if choice.name == judge_name)
    responses = run.store.results(run.id, "generate", [f"{arm_name}/{language}"])
    instructions = run.instructions(language)
    references = {one.item: one.reference for one in run.items if one.language == language}

    def item(id: str) -> judge.JudgmentItem:
        response, instruction = responses[f"{arm_name}/{language}", id].body, instructions[id].body
        assert response is not None and instruction is not None
        return judge.JudgmentItem(
            id=id,
            instruction=instruction["text"],
            response=response["response"],
            language=language,
            reference=references[id],
        )

    return judge.JudgmentRequest(rubric=rubric, items=[item(id) for id in items])
