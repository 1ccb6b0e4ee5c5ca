"""The last phase: hand everything observed to the analyzer, keep its results."""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from plumbline_contracts import analyzer
from plumbline_contracts.analysis import JudgeRole
from plumbline_contracts.common import Artifact, Info
from plumbline_contracts.coordinator import PhaseName
from plumbline_contracts.experiment import JudgeChoice
from plumbline_contracts.judge import Rubric, RubricLanguage

from . import jury
from .records import records
from .run import Run
from .stages.generate import arms_and_languages
from .stages.train import used_trainings
from .waiting import Tell, patiently


async def analyze(run: Run, tell: Tell) -> None:
    request = await patiently(partial(asyncio.to_thread, _request, run), tell)
    async with run.client("analyzer") as client:
        call = partial(client.call, "POST", "/v1/analyses", analyzer.AnalysisResponse, request)
        answer = await patiently(call, tell)
    keep = partial(run.attempt.keep, results=answer.model_dump(mode="json"))
    await patiently(partial(asyncio.to_thread, keep), tell)


def _request(run: Run) -> analyzer.AnalysisRequest:
    row = run.store.get(run.id)
    manifest = dict(row.manifest)
    reused = run.store.origins(run.id)
    services = {name: Info(**info) for name, info in manifest["services"].items()}
    weights = {"weights": _weights(run)}
    request = analyzer.AnalysisRequest(
        experiment=run.id,
        title=run.spec.name,
        arms=[_arm(run, name) for name in (arm.name for arm in run.spec.arms)],
        languages=run.spec.languages,
        judges=[
            *(_judge(one, services[f"judge:{one.name}"], manifest) for one in run.spec.judges),
            *jury.panel_labels(run, services),
        ],
        calibrations=jury.calibrations(run),
        settings=run.spec.analysis,
        data=_observations(run),
        notes=[*([run.spec.description] if run.spec.description else []), *_notes(reused)],
        provenance=list(_provenance(manifest | weights)),
        usage=run.store.usage(run.id),
    )
    analyzed = request.model_dump(mode="json")
    told = weights | {"reused": reused, "usage": analyzed["usage"], "analysis": analyzed}
    run.attempt.complete(manifest | told)
    return request


def _notes(reused: dict[str, dict[str, int]]) -> Iterator[str]:
    for phase in PhaseName:
        for origin, count in sorted(reused.get(phase, {}).items()):
            yield f"In the phase {phase.value}, {count} results were taken from the experiment {origin}."


def _observations(run: Run) -> Artifact:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "observations.jsonl"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"{record.observation().model_dump_json()}\n" for _, record in records(run))
        return run.artifacts.put(path, f"observations-{run.id[:80]}")


def _arm(run: Run, name: str) -> analyzer.ArmLabel:
    arm = run.arm(name)
    training = run.spec.trainings.get(arm.weights)
    model = run.spec.models[arm.model]
    reference = model.instruct if arm.weights == "instruct" else model.base
    kind = training.method.value if training else arm.weights
    return analyzer.ArmLabel(name=name, model=reference or arm.model, weights=kind, prompting=arm.prompting)


def _judge(choice: JudgeChoice, info: Info, manifest: dict[str, Any]) -> analyzer.JudgeLabel:
    """Its description says on what it judged, and by which rule, if any, it scored what it could not."""
    rubrics = [Rubric(**one) for one in manifest.get("judged_on", {}).get(choice.name, [])]
    language = "" if choice.rubric_language is RubricLanguage.ENGLISH else ", in the language of each response"
    said = ", ".join(_described(one) for one in rubrics)
    return analyzer.JudgeLabel(
        name=choice.name,
        implementation=info.implementation,
        model=info.model,
        role=JudgeRole(choice.role),
        description=f"{info.description} Rubrics: {said}{language}." if said else info.description,
    )


def _provenance(manifest: dict[str, Any]) -> Iterator[analyzer.Ingredient]:
    """Every version and digest of the manifest, for the report."""
    for name, info in manifest["services"].items():
        parts = [info["implementation"], info["version"], info["model"], info["revision"]]
        yield analyzer.Ingredient(kind="service", name=name, version=" ".join(part for part in parts if part))
    for kind in ("weights", "prompts", "files", "packages", "seeds"):
        for name, version in manifest.get(kind, {}).items():
            yield analyzer.Ingredient(kind=kind, name=name, version=str(version))
    for arm, model in manifest.get("models", {}).items():
        if model["weights_sha256"] is None:
            version = f"no digest is known: {model['model']}, {model['source']}"
            yield analyzer.Ingredient(kind="weights", name=arm, version=version)


def _described(rubric: Rubric) -> str:
    label = f' ({rubric.compat}: "N/A" counts 5.0)' if rubric.compat else ""
    return f"{rubric.name} {rubric.version}{label}"


def _weights(run: Run) -> dict[str, str]:
    """sha256 of the weights that every arm generated with, as the generator said."""
    found: dict[str, str] = {}
    for unit, _ in arms_and_languages(run):
        body = run.store.any_body(run.id, PhaseName.GENERATE, unit)
        if body and body["weights_sha256"]:
            found[unit.split("/")[0]] = body["weights_sha256"]
    for name in used_trainings(run.spec):
        if (trained := run.trained(name).body) is not None:
            found[f"training {name}"] = trained["weights"]["sha256"]
    return dict(sorted(found.items()))
