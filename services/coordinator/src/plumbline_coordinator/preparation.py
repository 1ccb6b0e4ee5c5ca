"""The first phase: who are the services, which items are there."""

import asyncio

from plumbline_contracts import analyzer, generator, judge, trainer, translator
from plumbline_contracts.common import Info
from plumbline_contracts.coordinator import Manifest
from plumbline_contracts.experiment import DataSource
from plumbline_kit.errors import ProblemError

from .items import read_items
from .run import Run
from .stages.train import used_trainings

_CONTRACTS = {one.NAME: one for one in (translator, generator, trainer, judge, analyzer)}


async def prepare(run: Run) -> None:
    """Store the items and the manifest. A service that answers another contract fails the experiment."""
    await asyncio.to_thread(run.store.start, run.id)
    items = await asyncio.to_thread(read_items, run.spec, run.files, run.sources)
    await asyncio.to_thread(run.store.add_items, run.id, items)
    services = {name: await info(run, name) for name in services_of(run)}
    manifest = await asyncio.to_thread(_manifest, run, services)
    await asyncio.to_thread(run.store.keep, run.id, manifest=manifest.model_dump(mode="json"))


def services_of(run: Run) -> list[str]:
    """The services that this experiment needs."""
    spec = run.spec
    needs_translation = spec.dataset.fields.language is None and any(
        one != spec.dataset.language and one not in spec.dataset.native for one in spec.languages
    )
    return [
        *(["translator"] if needs_translation else []),
        *(["trainer"] if used_trainings(spec) else []),
        "generator",
        "analyzer",
        *(f"judge:{choice.name}" for choice in spec.judges),
    ]


async def info(run: Run, service: str) -> Info:
    """Who answers there, once it is ready; the problem `wrong-contract` when it is not what it should be."""
    contract = _CONTRACTS[service.split(":")[0]]
    async with run.client(service) as client:
        await client.send("GET", "/readyz")
        found = await client.call("GET", "/info", Info)
    expected = f"{contract.NAME}/{contract.VERSION.split('.')[0]}."
    if not found.contract.startswith(expected):
        detail = f"{client.url} answers the contract {found.contract!r}; {service} must answer {expected}x."
        raise ProblemError(422, "wrong-contract", detail)
    return found


def _manifest(run: Run, services: dict[str, Info]) -> Manifest:
    sources: dict[str, DataSource] = {"dataset": run.spec.dataset}
    sources |= {f"training {name}": run.spec.trainings[name].data for name in used_trainings(run.spec)}
    sources |= {f"native {language}": source for language, source in run.spec.dataset.native.items()}
    return Manifest(
        spec=run.spec.model_dump(mode="json"),
        services=services,
        prompts=run.prompting.digests(),
        files={name: run.sources.sha256(source, run.files) for name, source in sources.items()},
        weights={},
    )
