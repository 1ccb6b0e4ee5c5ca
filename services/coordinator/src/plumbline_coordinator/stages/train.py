"""Trainings that the arms need, as jobs of the trainer."""

import asyncio
import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from plumbline_contracts import generator, trainer
from plumbline_contracts.common import Info
from plumbline_contracts.coordinator import PhaseName
from plumbline_contracts.experiment import ExperimentSpec, Training
from plumbline_contracts.trainer import TrainingState
from plumbline_kit.client import ServiceClient
from plumbline_kit.errors import ProblemError

from ..rows import Outcome
from ..run import Run
from ..sources import Row, text
from .stage import Ask, Asked, Loaded, Unit, behind, who

_POLL_S = 1.0


class Train:
    """Unit, only item and input: the name of the training."""

    name = PhaseName.TRAIN

    def units(self, run: Run) -> Iterator[Unit]:
        for name in used_trainings(run.spec):
            yield name, [name]

    def total(self, run: Run, planned: int) -> int:
        return planned

    def service(self, unit: str) -> str:
        return "trainer"

    def load(self, run: Run, unit: str, items: Sequence[str]) -> Loaded:
        return Loaded({name: name for name in items})

    def asking(self, run: Run, client: ServiceClient) -> Ask:
        return partial(_ask, run, client)

    async def identity(self, run: Run, unit: str, asked: Asked) -> Any:
        """The base weights as the generator knows them: it finds a name where the trainer does."""
        base = run.spec.models[run.spec.trainings[unit].model].base
        found = await asked("generator", "/v1/models/identity", generator.ModelIdentity, model=base)
        return [who(await asked("trainer", "/info", Info)), behind(found)]

    def content(self, run: Run, unit: str, input: str) -> Any:
        request = training_request(run, input)
        return [request.method, request.data.sha256, request.hyperparameters.model_dump(mode="json")]

    def lasts(self, run: Run, body: dict[str, Any]) -> bool:
        """As long as the weights are kept."""
        try:
            run.artifacts.require(body["weights"]["uri"])
        except ProblemError as error:
            if error.status == 503:
                raise
            return False
        return True


async def _ask(run: Run, client: ServiceClient, name: str, _: Sequence[str]) -> list[Outcome]:
    request = await asyncio.to_thread(training_request, run, name)
    job = job_id(run.id, name, request, await asyncio.to_thread(run.store.tries, run.id, name))
    reached = partial(run.attempt.set_training, name, job)
    await asyncio.to_thread(reached, 0, 1)  # known before it is asked for
    training = await client.call("PUT", f"/v1/trainings/{job}", trainer.Training, request)
    while training.state in (TrainingState.QUEUED, TrainingState.RUNNING):
        await asyncio.sleep(_POLL_S)
        training = await client.call("GET", f"/v1/trainings/{job}", trainer.Training)
        if (progress := training.progress) is not None:
            await asyncio.to_thread(reached, progress.step, progress.total_steps)
    if training.state != TrainingState.COMPLETED or training.weights is None:
        return [Outcome(name, None, f"training {name!r} {training.state}: {training.cause or 'no cause given'}")]
    body = {"job": job, "weights": training.weights.model_dump(), "weights_sha256": training.weights_sha256}
    return [Outcome(name, body)]


def used_trainings(spec: ExperimentSpec) -> list[str]:
    return [name for name in spec.trainings if any(arm.weights == name for arm in spec.arms)]


def job_id(experiment: str, name: str, request: trainer.TrainingRequest, tries: int) -> str:
    """The same request under the same experiment is the same job, unless the `tries` before are to be left behind."""
    digest = hashlib.sha256(request.model_dump_json().encode()).hexdigest()
    return f"{experiment[:80]}.{name[:30]}.{digest[:12]}" + (f".{tries}" if tries else "")


def training_request(run: Run, name: str) -> trainer.TrainingRequest:
    training = run.spec.trainings[name]
    rows = [rendered(run, training, place, row) for place, row in run.sources.rows(training.data, run.files)]
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows[: training.data.limit])
    return trainer.TrainingRequest(
        method=training.method,
        model=run.spec.models[training.model].base,
        data=run.artifacts.put_bytes(content.encode(), f"rows-{name[:40]}"),
        hyperparameters=training.hyperparameters,
    )


def rendered(run: Run, training: Training, place: str, row: Row) -> dict[str, str]:
    """A row as finished text, in the format of generation."""
    data, format, prompting = training.data, training.prompting, run.prompting

    def column(name: str) -> str:
        if (value := text(row.get(name))) is None:
            raise ProblemError(422, "unreadable-data", f"{place}: {name!r} must be a text that is not empty.")
        return value

    language = column(data.language) if data.language and format == "urial" else run.spec.languages[0]
    if format == "urial" and language not in prompting.sources:
        known = ", ".join(prompting.sources)
        raise ProblemError(422, "unreadable-data", f"{place}: no URIAL prompt in {language!r}; there are: {known}.")
    prefix = prompting.prefix(format, language)
    prompt = {"prompt": prefix + prompting.text(format, column(data.instruction))}
    names = (
        {"completion": data.response}
        if training.method == "sft"
        else {
            "chosen": data.chosen,
            "rejected": data.rejected,
        }
    )
    return prompt | {key: prompting.completion(format, column(name)) for key, name in names.items()}
