"""A response for every item under every arm in every language."""

import asyncio
from collections.abc import Sequence

from plumbline_contracts import generator
from plumbline_contracts.coordinator import PhaseName
from plumbline_kit.errors import ProblemError

from ..prompting import Format
from ..run import Run
from ..store import Chunk, Outcome
from .stage import Unit
from .train import used_trainings


class Generate:
    """Unit: arm/language."""

    name = PhaseName.GENERATE

    def plan(self, run: Run) -> list[Unit]:
        by_language = {one: [i.item for i in run.items if i.language == one] for one in run.spec.languages}
        return [(f"{arm.name}/{one}", items) for arm in run.spec.arms for one, items in by_language.items()]

    def service(self, chunk: Chunk) -> str:
        return "generator"

    async def process(self, run: Run, chunk: Chunk, items: Sequence[str]) -> list[Outcome]:
        request, sha256, outcomes = await asyncio.to_thread(_request, run, chunk.unit, items)
        if request is None:
            return outcomes
        async with run.client("generator") as client:
            answer = await client.call("POST", "/v1/generations", generator.GenerationResponse, request)
        if sha256 is not None and answer.weights_sha256 not in (sha256, None):
            detail = f"The generator used weights {answer.weights_sha256}, the training made {sha256}."
            raise ProblemError(500, "wrong-weights", detail)
        format = run.arm(chunk.unit.split("/")[0]).prompting
        return outcomes + [_outcome(run, format, one, answer) for one in answer.generations]


def _request(
    run: Run, unit: str, items: Sequence[str]
) -> tuple[generator.GenerationRequest | None, str | None, list[Outcome]]:
    """The request, the digest that its weights must have, and the outcomes of items without an instruction."""
    arm_name, language = unit.split("/")
    arm, instructions = run.arm(arm_name), run.instructions(language)
    model, sha256 = weights(run, arm_name)
    absent = [Outcome(item, None, instructions[item].cause) for item in items if instructions[item].body is None]
    prompts = [
        run.prompting.prompt(arm.prompting, item, body["text"])
        for item in items
        if (body := instructions[item].body) is not None
    ]
    if not prompts:
        return None, sha256, absent
    decoding = run.spec.decoding
    request = generator.GenerationRequest(
        model=model,
        prefix=run.prompting.prefix(arm.prompting, language),
        prompts=prompts,
        decoding=decoding.model_copy(update={"stop": [*decoding.stop, *run.prompting.stops(arm.prompting)]}),
    )
    return request, sha256, absent


def _outcome(run: Run, format: Format, one: generator.Generation, answer: generator.GenerationResponse) -> Outcome:
    if one.finish_reason in (generator.FinishReason.ERROR, generator.FinishReason.CANCELLED):
        return Outcome(one.id, None, f"generation ended with {one.finish_reason}: {one.cause or 'no cause given'}")
    body = one.model_dump(mode="json", exclude={"id", "cause"})
    # A NUL can be generated, but neither stored nor sent on; this sign keeps the length.
    texts = {key: body[key].replace("\x00", "\ufffd") for key in ("text", "raw_text")}
    response = run.prompting.clean(format, texts["text"])
    # Older results lack engine and engine_version.
    origin = {name: getattr(answer, name) for name in ("weights_sha256", "engine", "engine_version")}
    return Outcome(one.id, body | texts | origin | {"response": response})


def weights(run: Run, arm_name: str) -> tuple[str, str | None]:
    """Reference and, for trained weights, digest of what an arm generates with; a problem if the training failed."""
    arm = run.arm(arm_name)
    family = run.spec.models[arm.model]
    if arm.weights in used_trainings(run.spec):
        outcome = run.store.results(run.id, "train", [arm.weights])[arm.weights, arm.weights]
        if outcome.body is None:
            raise ProblemError(422, "no-weights", outcome.cause or "the training failed")
        return outcome.body["weights"]["uri"], outcome.body["weights"]["sha256"]
    if arm.weights == "instruct":
        assert family.instruct is not None  # checked in check.py
        return family.instruct, None
    return family.base, None
