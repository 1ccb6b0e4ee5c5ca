"""A coordinator without services, on the real wire: `python coordinator_stand_in.py FOLDER`, settings as COORDINATOR_*.

An experiment advances one step per event that somebody watches, so that tests decide how far it gets. The
`description` of its file says how it goes: `fails`, `held` (never ends), otherwise it completes; with `better`, one
response and its score are others.
"""

import hashlib
import io
import json
import sys
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import yaml
from plumbline_contracts import coordinator as contract
from plumbline_contracts import examples
from plumbline_contracts.analyzer import AnalysisResponse, AspectMean, Detector, ErrorRate
from plumbline_contracts.common import Artifact, Info, Place
from plumbline_contracts.experiment import ExperimentSpec, Limits
from plumbline_kit import app, settings
from plumbline_kit.errors import ProblemError
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict
from stand_in_records import record

ITEMS = 4
STEPS = ITEMS * len(contract.PhaseName)
PAGE = 3
ASPECTS = ["helpfulness", "clarity", "factuality", "depth", "engagement", "safety"]
STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Settings(settings.ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="COORDINATOR_")

    port: int = contract.PORT
    tick: float = 0.01


def parse(submission: contract.Submission) -> ExperimentSpec:
    try:
        return ExperimentSpec.model_validate(yaml.safe_load(submission.spec))
    except ValidationError as error:
        places = [
            Place(place=f"{submission.source}:1 {'.'.join(map(str, fault['loc']))}", message=fault["msg"])
            for fault in error.errors()
        ]
        raise ProblemError(
            422, "invalid-spec", f"{len(places)} fault(s) in the experiment file.", errors=places
        ) from None


class StandIn:
    def __init__(self, folder: Path, tick: float) -> None:
        self.folder, self.tick = folder, tick

    async def upload(self, sha256: str, content: bytes) -> Artifact:
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise ProblemError(422, "digest-mismatch", f"The content has {found}.")
        (self.folder / f"file-{sha256}").write_bytes(content)
        return Artifact(uri=f"artifact:file-{sha256[:16]}", sha256=sha256, bytes=len(content))

    async def check_spec(self, submission: contract.Submission) -> contract.SpecCheck:
        spec = parse(submission)
        numbers = {"translations": ITEMS, "trainings": 0, "generations": 8, "judgments": 8}
        items = dict.fromkeys(spec.languages, ITEMS)
        return contract.SpecCheck(items=items, warnings=["The judge could not be asked."], **numbers)

    async def plan(self, submission: contract.Submission) -> contract.Plan:
        parse(submission)
        return contract.Plan.model_validate(examples.load(contract.NAME)["plan_experiment"]["response"])

    async def put(self, id: str, submission: contract.Submission) -> contract.Experiment:
        parse(submission)
        if (file := self._file(id)).exists():
            if json.loads(file.read_text())["submission"] != submission.model_dump():
                raise ProblemError(409, "id-taken", f"{id!r} is another experiment.")
        else:
            self._save(id, {"submission": submission.model_dump(), "step": 0, "cancelled": False, "attempt": 1})
        return self._experiment(id)

    async def list_all(self, query: contract.ExperimentQuery) -> contract.ExperimentList:
        ids = sorted(file.stem for file in self.folder.glob("*.json") if file.stem > (query.after or ""))
        page = [one for one in map(self._experiment, ids[:PAGE]) if one.state in (query.state or [one.state])]
        return contract.ExperimentList(experiments=page, next=ids[PAGE - 1] if len(ids) > PAGE else None)

    async def get(self, id: str) -> contract.Experiment:
        return self._experiment(id)

    async def cancel(self, id: str) -> contract.Experiment:
        self._save(id, self._load(id) | {"cancelled": True})
        return self._experiment(id)

    async def pause(self, id: str) -> contract.Experiment:
        self._save(id, self._load(id) | {"paused": True})
        return self._experiment(id)

    async def resume(self, id: str, resumption: contract.Resumption) -> contract.Experiment:
        limits = resumption.limits.model_dump(exclude_unset=True) if resumption.limits else {}
        again = {"paused": False, "cancelled": False, "limits": limits, "attempt": 2}
        self._save(id, self._load(id) | again)
        return self._experiment(id)

    async def retry(self, id: str) -> contract.Experiment:
        return self._experiment(id)  # nothing has failed

    async def events(self, id: str) -> AsyncIterator[contract.Experiment]:
        while True:
            experiment = self._experiment(id)
            yield experiment
            if experiment.finished:
                return
            await anyio.sleep(self.tick)
            entry = self._load(id)
            self._save(id, entry | {"step": entry["step"] + 1})

    async def responses(self, id: str, query: contract.ResponseQuery) -> contract.ResponsePage:
        first, better = int(query.after or 0), self._is_better(id)
        every = (record(index, better) for index in range(ITEMS * 2))
        records = [one for one in every if one.arm in (query.arm or [one.arm])]
        last = first + min(query.limit, PAGE)
        return contract.ResponsePage(responses=records[first:last], next=str(last) if last < len(records) else None)

    async def results(self, id: str) -> AnalysisResponse:
        spec = self._finished(id)
        mean = 3.5 if self._is_better(id) else 3.25
        cells = [(arm.name, language) for arm in spec.arms for language in spec.languages]
        return AnalysisResponse(
            means=[
                AspectMean(
                    judge="judge", arm=arm, language=language, aspect=aspect, n=ITEMS, mean=mean, low=3, high=3.5,
                    missing={"unscored: no number": 1} if aspect == "safety" else {}, worst=2.8, best=3.6, leads=None,
                )
                for arm, language in cells
                for aspect in ASPECTS
            ],
            error_rates=[
                ErrorRate(
                    arm=arm, language=language, detector=detector, n=ITEMS, found=1, rate=0.25, low=0.1, high=0.6,
                    undecided=0, not_applicable=0, missing={},
                )
                for arm, language in cells
                for detector in Detector
            ],
            differences=[],
            findings=["URIAL helps \x1b[31mclarity in French."],
            report=Artifact(uri="artifact:report", sha256="0" * 64, bytes=1),
            folder=Artifact(uri="artifact:folder", sha256="0" * 64, bytes=1),
            corrected_means=[], error_differences=[], interactions=[], agreements=[], arm_rankings=[], win_rates=[],
            strengths=[], early_stops=[], loop_audits=[], loop_scores=[],
        )  # fmt: skip

    async def manifest(self, id: str) -> contract.Manifest:
        submission = contract.Submission.model_validate(self._load(id)["submission"])
        better = self._is_better(id)
        lines = b"".join(record(n, better).observation().model_dump_json().encode() + b"\n" for n in range(ITEMS * 2))
        return contract.Manifest(
            source=submission.source,
            text=submission.spec,
            spec=parse(submission).model_dump(mode="json"),
            services={"judge:judge": self.info()},
            judged_on={},
            defaults=[], seeds={}, packages={}, rubrics={}, prompts={}, files={}, weights={}, models={}, reused={},
            usage=[],
            analysis={"data": {"uri": "artifact:o", "sha256": hashlib.sha256(lines).hexdigest(), "bytes": len(lines)}},
        )  # fmt: skip

    async def report(self, id: str) -> str:
        self._finished(id)
        return "<!doctype html><title>Rapport déjà prêt</title>"

    async def report_folder(self, id: str) -> bytes:
        self._finished(id)
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("report.html", "<!doctype html>")
            archive.writestr("tables/means.csv", "arm,mean\n")
        return buffer.getvalue()

    async def check(self) -> None:
        """Always able."""

    def info(self) -> Info:
        return Info(
            contract="coordinator/1.0.0",
            implementation="stand-in",
            version="0",
            model=None,
            revision=None,
            description="For the tests of the command.",
        )

    def _is_better(self, id: str) -> bool:
        return "better" in parse(contract.Submission.model_validate(self._load(id)["submission"])).description

    def _file(self, id: str) -> Path:
        return self.folder / f"{id}.json"

    def _load(self, id: str) -> dict[str, Any]:
        if not self._file(id).exists():
            raise ProblemError(404, "not-found", f"There is no experiment {id!r}.")
        return json.loads(self._file(id).read_text())

    def _save(self, id: str, entry: dict[str, Any]) -> None:
        partial = self.folder / "partial"  # the tests kill this process at any time
        partial.write_text(json.dumps(entry))
        partial.replace(self._file(id))

    def _finished(self, id: str) -> ExperimentSpec:
        if self._experiment(id).state is not contract.ExperimentState.COMPLETED:
            raise ProblemError(409, "not-finished", f"Experiment {id!r} has not finished.")
        return parse(contract.Submission.model_validate(self._load(id)["submission"]))

    def _experiment(self, id: str) -> contract.Experiment:
        entry = self._load(id)
        spec = parse(contract.Submission.model_validate(entry["submission"]))
        held = "held" in spec.description
        step = min(entry["step"], ITEMS * 3 + 1) if held or "fails" in spec.description else entry["step"]
        state = contract.ExperimentState.RUNNING
        if entry["cancelled"]:
            state = contract.ExperimentState.CANCELLED
        elif entry.get("paused"):
            state = contract.ExperimentState.PAUSED
        elif "fails" in spec.description and step > ITEMS * 3:
            state = contract.ExperimentState.FAILED
        elif step >= STEPS:
            state = contract.ExperimentState.COMPLETED
        ended = state not in (contract.ExperimentState.RUNNING, contract.ExperimentState.PAUSED)
        return contract.Experiment(
            id=id,
            name=spec.name,
            state=state,
            cause="the generator has no such model" if state is contract.ExperimentState.FAILED else None,
            attempt=entry["attempt"],
            limits=Limits(**entry.get("limits", {})),
            spent=contract.Spent(calls=step, tokens=0, hours=0),
            usage=[
                contract.Usage(
                    arm="urial",
                    language="fr",
                    prompt_tokens=1000,
                    cached_prompt_tokens=900,
                    computed_prompt_tokens=100,
                    completion_tokens=50,
                    tokens_saved=7,
                )
            ],
            phases=[phase(name, step - ITEMS * index, held) for index, name in enumerate(contract.PhaseName)],
            spec_sha256=hashlib.sha256(entry["submission"]["spec"].encode()).hexdigest(),
            created=STARTED,
            started=STARTED,
            finished=STARTED if ended else None,
        )


def phase(name: contract.PhaseName, done: int, held: bool) -> contract.Phase:
    states = contract.PhaseState
    state = states.PENDING if done < 0 else states.DONE if done >= ITEMS else states.RUNNING
    return contract.Phase(
        name=name,
        state=state,
        done=max(0, min(done, ITEMS)),
        total=ITEMS,
        reused=1 if name is contract.PhaseName.GENERATE and state is states.DONE else 0,
        failed=int(state is states.DONE and name is contract.PhaseName.JUDGE),
        flow=[],
        message="waits for the generator" if held and state is states.RUNNING else None,
        started=STARTED if state is not states.PENDING else None,
        finished=STARTED if state is states.DONE else None,
    )


def main() -> None:
    config = settings.load(Settings)

    @asynccontextmanager
    async def load() -> AsyncIterator[StandIn]:
        yield StandIn(Path(sys.argv[1]), config.tick)

    app.serve(contract, load, config)


if __name__ == "__main__":
    main()
