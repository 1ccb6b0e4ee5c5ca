"""The first phase: who are the services, which items are there."""

import asyncio
from dataclasses import dataclass
from functools import partial

from plumbline_contracts import analyzer, generator, judge, trainer, translator
from plumbline_contracts.common import Info
from plumbline_contracts.coordinator import PhaseName
from plumbline_contracts.experiment import JudgeChoice
from plumbline_contracts.generator import ModelIdentity
from plumbline_contracts.judge import Rubric
from plumbline_kit.client import ServiceClient, is_transient
from plumbline_kit.errors import ProblemError

from . import judges, panels, provenance
from .items import Items
from .run import Run
from .stages.generate import untrained
from .stages.train import used_trainings
from .waiting import Tell, patiently

_CONTRACTS = {one.NAME: one for one in (translator, generator, trainer, judge, analyzer)}


async def prepare(run: Run, tell: Tell) -> None:
    """Store the items and the manifest. A service that answers another contract fails the experiment."""
    await asyncio.to_thread(run.attempt.start)
    before = await asyncio.to_thread(_recorded, run)
    asked = services_of(run)
    services = before.services | {name: await patiently(partial(info, run, name), tell) for name in asked}
    found = {
        choice.name: await patiently(partial(_rubrics, run, choice), tell)
        for choice in run.spec.judges
        if f"judge:{choice.name}" in asked
    }
    rubrics = before.rubrics | {
        name: {one.name: provenance.aspects(one) for one in chosen} for name, chosen in found.items()
    }
    panels.must_share(run.spec, rubrics)
    for name, chosen in found.items():
        for rubric in chosen:
            await patiently(partial(_probe, run, name, rubric), tell)
    models = before.models | (await patiently(partial(_models, run), tell) if "generator" in asked else {})
    # The artifact store may be away, as a service may.
    items = await patiently(partial(asyncio.to_thread, Items, run.spec, run.files, run.sources), tell)
    await asyncio.to_thread(run.attempt.add_items, items)
    made_of = partial(provenance.manifest, run, services, rubrics, before.judged_on | found, models)
    manifest = await patiently(partial(asyncio.to_thread, made_of), tell)
    await asyncio.to_thread(run.attempt.keep, manifest=manifest.model_dump(mode="json"))


def services_of(run: Run) -> list[str]:
    """The services that this experiment needs."""
    spec = run.spec
    judges = [f"judge:{choice.name}" for choice in spec.judges]
    if run.recorded is not None:
        return ["analyzer", *(judges if run.recorded.only is PhaseName.JUDGE else [])]
    needs_translation = spec.dataset.fields.language is None and any(
        one != spec.dataset.language and one not in spec.dataset.native for one in spec.languages
    )
    return [
        *(["translator"] if needs_translation else []),
        *(["trainer"] if used_trainings(spec) else []),
        "generator",
        "analyzer",
        *judges,
    ]


@dataclass(frozen=True)
class Before:
    """What an experiment on recorded responses takes from the manifest of the other one."""

    services: dict[str, Info]
    rubrics: dict[str, dict[str, list[str]]]
    judged_on: dict[str, list[Rubric]]
    models: dict[str, ModelIdentity]


def _recorded(run: Run) -> Before:
    if run.recorded is None:
        return Before({}, {}, {}, {})
    manifest, judges = provenance.stored(run.store.get(run.recorded.source)), {one.name for one in run.spec.judges}
    services = {
        name: info
        for name, info in manifest.services.items()
        if not name.startswith("judge:") or name.removeprefix("judge:") in judges
    }
    rubrics = {name: rubrics for name, rubrics in manifest.rubrics.items() if name in judges}
    arms = {arm.name for arm in run.spec.arms}
    judged_on = {name: chosen for name, chosen in manifest.judged_on.items() if name in judges}
    return Before(services, rubrics, judged_on, {arm: found for arm, found in manifest.models.items() if arm in arms})


async def _models(run: Run) -> dict[str, ModelIdentity]:
    """By arm. Of a model that is not there its arm will say so; an older generator does not tell."""
    found: dict[str, ModelIdentity] = {}
    async with run.client("generator") as client:
        for arm in run.spec.arms:
            if arm.weights in run.spec.trainings:
                continue
            try:
                path, model = "/v1/models/identity", untrained(run.spec, arm)
                found[arm.name] = await client.call("GET", path, ModelIdentity, model=model)
            except ProblemError as error:
                if error.status >= 500 or is_transient(error):
                    raise
    return found


async def info(run: Run, service: str) -> Info:
    """Who answers there, once it is ready."""
    async with run.client(service) as client:
        await client.send("GET", "/readyz")
        return await identified(client, service)


async def identified(client: ServiceClient, service: str) -> Info:
    """Who answers there; the problem `wrong-contract` when it is not what it should be."""
    contract = _CONTRACTS[service.split(":")[0]]
    found = await client.call("GET", "/info", Info)
    expected = f"{contract.NAME}/{contract.VERSION.split('.')[0]}."
    if not found.contract.startswith(expected):
        detail = f"{client.url} answers the contract {found.contract!r}; {service} must answer {expected}x."
        raise ProblemError(422, "wrong-contract", detail)
    return found


async def _rubrics(run: Run, choice: JudgeChoice) -> list[Rubric]:
    """Each rubric that is asked for, once; the problem `unknown-rubric` if the judge does not have it."""
    async with run.client(f"judge:{choice.name}") as client:
        have = await judges.rubrics(client)
    for rubric in choice.rubrics.values():
        if rubric not in have:
            detail = f"The judge {choice.name!r} has no rubric {rubric!r}; it has {', '.join(have)}."
            raise ProblemError(422, "unknown-rubric", detail)
    return [have[rubric] for rubric in dict.fromkeys(choice.rubrics.values())]


async def _probe(run: Run, name: str, rubric: Rubric) -> None:
    async with run.client(f"judge:{name}") as client:
        await judges.probe(client, rubric.name, provenance.aspects(rubric))
