"""Critical errors in every response, on the text up to the stop string and before any cleaning."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from plumbline_contracts import analyzer
from plumbline_contracts.common import Info, Text
from plumbline_contracts.coordinator import PhaseName
from plumbline_contracts.generator import FinishReason
from plumbline_kit.client import ServiceClient

from ..rows import Outcome
from ..run import Run
from .generate import arms_and_languages, responses
from .stage import Ask, Asked, Loaded, Unit, who, without_id


class Examined(analyzer.DetectionItem):
    """`ended`: of an audited loop, what it would have been had it been ended."""

    ended: Text | None = None


class Detect:
    """Unit: arm/language. Input: Examined, of every item that has a response."""

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
            loaded.inputs[one.item] = Examined(
                id=one.item,
                instruction=instruction,
                response=response["text"],
                language=language,
                finish_reason=response["finish_reason"],
                prefix=prefix,
                asks_for_code=True if "coding" in one.tasks else None,
                other_language="translation" in one.tasks,
                ended=_ended(response),
            )
        return loaded

    def asking(self, run: Run, client: ServiceClient) -> Ask:
        return partial(_ask, client)

    async def identity(self, run: Run, unit: str, asked: Asked) -> Any:
        return who(await asked("analyzer", "/info", Info))  # its description has the version of the detectors

    def content(self, run: Run, unit: str, input: Examined) -> Any:
        return without_id(input)

    def lasts(self, run: Run, body: dict[str, Any]) -> bool:
        return True


def _ended(response: dict[str, Any]) -> str | None:
    # Responses of before generator contract 1.2 have neither.
    if not response.get("audited") or response.get("loop") is None:
        return None
    return str(response["text"][: response["loop"]["met_at"]])


async def _ask(client: ServiceClient, unit: str, items: Sequence[Examined]) -> list[Outcome]:
    answer = await _look(client, items)
    audited = [one for one in items if one.ended is not None]
    ended = [one.model_copy(update={"response": one.ended, "finish_reason": FinishReason.LOOP}) for one in audited]
    if_ended = {one.id: one for one in (await _look(client, ended)).items} if ended else {}
    return [
        Outcome(
            one.id,
            {"detections": _stored(one), "version": answer.detectors_version}
            | ({"if_ended": _stored(if_ended[one.id])} if one.id in if_ended else {}),
        )
        for one in answer.items
    ]


async def _look(client: ServiceClient, items: Sequence[Examined]) -> analyzer.DetectionResponse:
    request = analyzer.DetectionRequest(items=list(items))
    return await client.call("POST", "/v1/detections", analyzer.DetectionResponse, request)


def _stored(one: analyzer.ItemDetections) -> list[dict[str, Any]]:
    return [detection.model_dump(mode="json") for detection in one.detections]
