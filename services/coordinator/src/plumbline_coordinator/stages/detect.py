"""Critical errors in every response, on the text up to the stop string and before any cleaning."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from plumbline_contracts import analyzer
from plumbline_contracts.common import Info
from plumbline_contracts.coordinator import PhaseName
from plumbline_kit.client import ServiceClient

from ..rows import Outcome
from ..run import Run
from .generate import arms_and_languages, responses
from .stage import Ask, Asked, Loaded, Unit, who, without_id


class Detect:
    """Unit: arm/language. Input: DetectionItem, of every item that has a response."""

    name = PhaseName.DETECT

    def units(self, run: Run) -> Iterator[Unit]:
        for unit, language in arms_and_languages(run):
            yield unit, run.store.ids(run.id, language)

    def total(self, run: Run, planned: int) -> int:
        return sum(sum(run.store.responses(run.id, unit).values()) for unit, _ in arms_and_languages(run))

    def service(self, unit: str) -> str:
        return "analyzer"

    def load(self, run: Run, unit: str, items: Sequence[str]) -> Loaded:
        arm, language = unit.split("/")
        prefix, loaded = run.prompting.prefix(run.arm(arm).prompting, language), Loaded({})
        for one, instruction, response in responses(run, unit, items):
            loaded.inputs[one.item] = analyzer.DetectionItem(
                id=one.item,
                instruction=instruction,
                response=response["text"],
                language=language,
                finish_reason=response["finish_reason"],
                prefix=prefix,
                asks_for_code=True if "coding" in one.tasks else None,
                other_language="translation" in one.tasks,
            )
        return loaded

    def asking(self, run: Run, client: ServiceClient) -> Ask:
        return partial(_ask, client)

    async def identity(self, run: Run, unit: str, asked: Asked) -> Any:
        return who(await asked("analyzer", "/info", Info))  # its description has the version of the detectors

    def content(self, run: Run, unit: str, input: analyzer.DetectionItem) -> Any:
        return without_id(input)

    def lasts(self, run: Run, body: dict[str, Any]) -> bool:
        return True


async def _ask(client: ServiceClient, unit: str, items: Sequence[analyzer.DetectionItem]) -> list[Outcome]:
    request = analyzer.DetectionRequest(items=list(items))
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
