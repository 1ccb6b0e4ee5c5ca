"""Critical errors in every response, on the text before any cleaning."""

import asyncio
from collections.abc import Sequence

from plumbline_contracts import analyzer
from plumbline_contracts.coordinator import PhaseName

from ..run import Run
from ..store import Chunk, Outcome
from .stage import Unit


class Detect:
    """Unit: arm/language."""

    name = PhaseName.DETECT

    def plan(self, run: Run) -> list[Unit]:
        return responded(run)

    def service(self, chunk: Chunk) -> str:
        return "analyzer"

    async def process(self, run: Run, chunk: Chunk, items: Sequence[str]) -> list[Outcome]:
        request = await asyncio.to_thread(_request, run, chunk.unit, items)
        async with run.client("analyzer") as client:
            answer = await client.call("POST", "/v1/detections", analyzer.DetectionResponse, request)
        return [
            Outcome(
                one.id,
                {
                    "detections": [detection.model_dump(mode="json") for detection in one.detections],
                    "version": answer.detectors_version,
                },
            )
            for one in answer.items
        ]


def _request(run: Run, unit: str, items: Sequence[str]) -> analyzer.DetectionRequest:
    arm_name, language = unit.split("/")
    arm, instructions = run.arm(arm_name), run.instructions(language)
    responses = run.store.results(run.id, "generate", [unit])
    tasks = {one.item: one.tasks for one in run.items if one.language == language}
    prefix = run.prompting.prefix(arm.prompting, language)

    def item(id: str) -> analyzer.DetectionItem:
        response, instruction = responses[unit, id].body, instructions[id].body
        assert response is not None and instruction is not None
        return analyzer.DetectionItem(
            id=id,
            instruction=instruction["text"],
            response=response["text"],
            language=language,
            finish_reason=response["finish_reason"],
            prefix=prefix,
            asks_for_code=True if "coding" in tasks[id] else None,
            other_language="translation" in tasks[id],
        )

    return analyzer.DetectionRequest(items=[item(id) for id in items])


def responded(run: Run) -> list[Unit]:
    """(arm/language, items that have a response), in the order of the data set."""
    done = run.store.results(run.id, "generate")
    units = [(f"{arm.name}/{language}", language) for arm in run.spec.arms for language in run.spec.languages]
    return [
        (unit, [one.item for one in run.items if one.language == language and done[unit, one.item].body is not None])
        for unit, language in units
    ]
