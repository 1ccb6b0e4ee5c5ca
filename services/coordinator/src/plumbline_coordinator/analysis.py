"""The last phase: hand everything observed to the analyzer, keep its results."""

import asyncio
from functools import partial

from plumbline_contracts import analyzer
from plumbline_contracts.common import Artifact, Info

from .records import Records, keys
from .run import Run
from .stages.train import used_trainings
from .waiting import Tell, patiently


async def analyze(run: Run, tell: Tell) -> None:
    request = await patiently(partial(asyncio.to_thread, _request, run), tell)
    async with run.client("analyzer") as client:
        call = partial(client.call, "POST", "/v1/analyses", analyzer.AnalysisResponse, request)
        answer = await patiently(call, tell)
    keep = partial(run.store.keep, run.id, results=answer.model_dump(mode="json"))
    await patiently(partial(asyncio.to_thread, keep), tell)


def _request(run: Run) -> analyzer.AnalysisRequest:
    row = run.store.get(run.id)
    manifest = dict(row.manifest)
    services = {name: Info(**info) for name, info in manifest["services"].items()}
    request = analyzer.AnalysisRequest(
        experiment=run.id,
        title=run.spec.name,
        arms=[_arm(run, name) for name in (arm.name for arm in run.spec.arms)],
        languages=run.spec.languages,
        judges=[_judge(choice.name, services[f"judge:{choice.name}"]) for choice in run.spec.judges],
        settings=run.spec.analysis,
        data=_observations(run),
        notes=[run.spec.description] if run.spec.description else [],
    )
    told = {"weights": _weights(run), "analysis": request.model_dump(mode="json")}
    run.store.complete(run.id, manifest | told)
    return request


def _observations(run: Run) -> Artifact:
    everything = keys(run)
    records = Records(run, {f"{arm}/{item.language}" for arm, item in everything})
    lines = [records.record(arm, item).observation().model_dump_json() for arm, item in everything]
    return run.artifacts.put_bytes(("\n".join(lines) + "\n").encode(), f"observations-{run.id[:80]}")


def _arm(run: Run, name: str) -> analyzer.ArmLabel:
    arm = run.arm(name)
    training = run.spec.trainings.get(arm.weights)
    model = run.spec.models[arm.model]
    reference = model.instruct if arm.weights == "instruct" else model.base
    kind = training.method.value if training else arm.weights
    return analyzer.ArmLabel(name=name, model=reference or arm.model, weights=kind, prompting=arm.prompting)


def _judge(name: str, info: Info) -> analyzer.JudgeLabel:
    return analyzer.JudgeLabel(
        name=name, implementation=info.implementation, model=info.model, description=info.description
    )


def _weights(run: Run) -> dict[str, str]:
    """sha256 of the weights that every arm generated with, as the generator said."""
    found: dict[str, str] = {}
    for (unit, _), outcome in run.store.results(run.id, "generate").items():
        if outcome.body and outcome.body["weights_sha256"]:
            found[unit.split("/")[0]] = outcome.body["weights_sha256"]
    for name in used_trainings(run.spec):
        outcome = run.store.results(run.id, "train", [name])[name, name]
        if outcome.body:
            found[f"training {name}"] = outcome.body["weights"]["sha256"]
    return dict(sorted(found.items()))
