"""A response for every item under every arm in every language."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from plumbline_contracts import generator
from plumbline_contracts.common import Info
from plumbline_contracts.coordinator import PhaseName
from plumbline_contracts.experiment import Arm, ExperimentSpec
from plumbline_kit.client import ServiceClient
from plumbline_kit.errors import ProblemError

from ..accounting import used
from ..prompting import Format, demonstrated
from ..rows import Item, Outcome
from ..run import Run
from ..waiting import Stuck
from .stage import Ask, Asked, Loaded, Unit, behind, without_id
from .train import used_trainings


class Generate:
    """Unit: arm/language. Input: Prompt."""

    name = PhaseName.GENERATE

    def units(self, run: Run) -> Iterator[Unit]:
        """Those of the same weights one after the other, and among them those of the same prefix, so that a generator
        loads a model once, and computes a prefix once, however little it can keep."""
        for unit, language in _by_weights_and_prefix(run):
            yield unit, run.store.ids(run.id, language)

    def total(self, run: Run, planned: int) -> int:
        return planned

    def service(self, unit: str) -> str:
        return "generator"

    def load(self, run: Run, unit: str, items: Sequence[str]) -> Loaded:
        arm, language = unit.split("/")
        format, loaded = run.arm(arm).prompting, Loaded({})
        if run.arm(arm).weights in used_trainings(run.spec):
            run.trained(run.arm(arm).weights)  # read here, because `_ask` must not block
        for item, instruction in run.instructions(language, run.store.items(run.id, language, items)).items():
            if instruction.body is None:
                loaded.outcomes.append(Outcome(item, None, instruction.cause))
            else:
                loaded.inputs[item] = run.prompting.prompt(format, item, instruction.body["text"])
        return loaded

    def asking(self, run: Run, client: ServiceClient) -> Ask:
        return partial(_ask, run, client)

    async def identity(self, run: Run, unit: str, asked: Asked) -> Any:
        arm, language = unit.split("/")
        info, format = await asked("generator", "/info", Info), run.arm(arm).prompting
        found = await asked("generator", "/v1/models/identity", generator.ModelIdentity, model=weights(run, arm)[0])
        return [
            [info.implementation, info.version, found.engine, found.engine_version],
            behind(found),
            run.prompting.prefix(format, language),
            # Without what is off: it may be a setting that was not there when the question was asked before.
            _decoding(run, format).model_dump(mode="json", exclude_none=True),
            format,  # decides what is cut from the end of a response
        ]

    def content(self, run: Run, unit: str, input: generator.Prompt) -> Any:
        sampled = run.spec.decoding.temperature > 0  # then the random numbers are made from the prompt's id
        return [without_id(input), input.id if sampled else None]

    def lasts(self, run: Run, body: dict[str, Any]) -> bool:
        return True


def arms_and_languages(run: Run) -> list[tuple[str, str]]:
    """(unit, its language), in the order of the spec."""
    return [(f"{arm.name}/{language}", language) for arm in run.spec.arms for language in run.spec.languages]


def responses(run: Run, unit: str, items: Sequence[str]) -> Iterator[tuple[Item, str, dict[str, Any]]]:
    """Of the items that have a response in an arm/language: the item, its instruction there, and what the generator
    gave, as `_outcome` keeps it."""
    language = unit.split("/")[1]
    answers = run.store.outcomes(run.id, PhaseName.GENERATE, unit, items)
    found = run.store.items(run.id, language, items)
    instructions = run.instructions(language, found)
    for one in found:
        response, instruction = answers[one.item].body, instructions[one.item].body
        if response is not None and instruction is not None:
            yield one, instruction["text"], response


def _by_weights_and_prefix(run: Run) -> Iterator[tuple[str, str]]:
    """What a prefix is made of stands for it, so that no file is read."""
    groups: dict[str, dict[str | None, list[tuple[str, str]]]] = {}
    for unit, language in arms_and_languages(run):
        arm = run.arm(unit.split("/")[0])
        reference = arm.weights if arm.weights in used_trainings(run.spec) else untrained(run.spec, arm)
        prefix = demonstrated(run.spec, language) if arm.prompting == "urial" else None
        groups.setdefault(reference, {}).setdefault(prefix, []).append((unit, language))
    for prefixes in groups.values():
        for units in prefixes.values():
            yield from units


async def _ask(run: Run, client: ServiceClient, unit: str, prompts: Sequence[generator.Prompt]) -> list[Outcome]:
    arm, language = unit.split("/")
    format = run.arm(arm).prompting
    model, sha256 = weights(run, arm)
    prefix = run.prompting.prefix(format, language)
    request = generator.GenerationRequest(
        model=model,
        prefix=prefix,
        prefix_sha256=generator.sha256_of(prefix) if prefix else None,
        prompts=list(prompts),
        decoding=_decoding(run, format),
    )
    try:
        answer = await client.call("POST", "/v1/generations", generator.GenerationResponse, request)
    except ProblemError as error:
        if _refuses_the_decoding(error):  # every other item would be refused for it, too
            raise Stuck("decoding", f"The generator refuses this experiment's decoding: {error.detail}") from error
        raise
    if sha256 is not None and answer.weights_sha256 not in (sha256, None):
        detail = f"The generator used weights {answer.weights_sha256}, the training made {sha256}."
        raise ProblemError(500, "wrong-weights", detail)
    return [_outcome(run, format, one, answer) for one in answer.generations]


def _refuses_the_decoding(error: ProblemError) -> bool:
    """As a setting that it cannot honour, or as a field that its version of the contract does not have."""
    unknown = error.kind == "invalid-request" and any("decoding" in one.place.split(".") for one in error.errors)
    return unknown or error.kind == "unsupported-decoding"


def _decoding(run: Run, format: Format) -> generator.Decoding:
    decoding = run.spec.decoding
    return generator.Decoding(**dict(decoding) | {"stop": [*decoding.stop, *run.prompting.stops(format)]})


# What was cached depends on what ran before; a response must not. Log-probabilities are not asked for.
_NOT_KEPT = {"id", "cause", "cached_prompt_tokens", "logprobs", "prompt_logprobs"}


def _outcome(run: Run, format: Format, one: generator.Generation, answer: generator.GenerationResponse) -> Outcome:
    if one.finish_reason in (generator.FinishReason.ERROR, generator.FinishReason.CANCELLED):
        cause = f"generation ended with {one.finish_reason}: {one.cause or 'no cause given'}"
        # What an error cost nobody knows; mostly it is of a prompt that was not begun.
        cancelled = one.finish_reason == generator.FinishReason.CANCELLED
        return Outcome(one.id, None, cause, used=used(one) if cancelled else None)
    body = one.model_dump(mode="json", exclude=_NOT_KEPT)
    # A NUL can be generated, but neither stored nor sent on; this sign keeps the length.
    texts = {key: body[key].replace("\x00", "\ufffd") for key in ("text", "raw_text")}
    response = run.prompting.clean(format, texts["text"])
    # Older results lack engine and engine_version.
    origin = {name: getattr(answer, name) for name in ("weights_sha256", "engine", "engine_version")}
    return Outcome(one.id, body | texts | origin | {"response": response}, used=used(one))


def weights(run: Run, arm_name: str) -> tuple[str, str | None]:
    """Reference and, for trained weights, digest of what an arm generates with; a problem if the training failed."""
    arm = run.arm(arm_name)
    if arm.weights in used_trainings(run.spec):
        outcome = run.trained(arm.weights)
        if outcome.body is None:
            raise ProblemError(422, "no-weights", outcome.cause or "the training failed")
        artifact = outcome.body["weights"]
        # Not in bodies of earlier versions, which had whole weights only.
        return artifact["uri"], outcome.body.get("weights_sha256", artifact["sha256"])
    return untrained(run.spec, arm), None


def untrained(spec: ExperimentSpec, arm: Arm) -> str:
    """Reference of the base or instruct weights of an arm."""
    family = spec.models[arm.model]
    if arm.weights == "instruct":
        assert family.instruct is not None  # checked in check.py
        return family.instruct
    return family.base
