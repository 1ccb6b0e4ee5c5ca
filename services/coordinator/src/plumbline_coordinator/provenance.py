"""The manifest: what an experiment is made of, as far as it can be known before anything is generated."""

from functools import cache
from importlib import metadata
from platform import python_version
from typing import Any

import yaml
from plumbline_contracts.common import Info
from plumbline_contracts.coordinator import Default, Manifest
from plumbline_contracts.experiment import DataSource, ExperimentSpec, leaves
from plumbline_contracts.generator import ModelIdentity
from plumbline_contracts.judge import Rubric

from . import __version__
from .resolved import resolved
from .run import Run
from .stages.train import used_trainings

_PACKAGE = "plumbline-coordinator"


def manifest(
    run: Run,
    services: dict[str, Info],
    rubrics: dict[str, dict[str, list[str]]],
    judged_on: dict[str, list[Rubric]],
    models: dict[str, ModelIdentity],
) -> Manifest:
    spec, row = run.spec, run.store.get(run.id)
    sources: dict[str, DataSource] = {"dataset": spec.dataset}
    sources |= {f"training {name}": spec.trainings[name].data for name in used_trainings(spec)}
    sources |= {f"native {language}": source for language, source in spec.dataset.native.items()}
    return Manifest(
        source=row.source,
        text=row.spec,
        spec=row.resolved,
        defaults=defaults(row.spec, row.resolved),
        seeds=seeds(spec),
        packages=packages(),
        services=services,
        rubrics=rubrics,
        judged_on=judged_on,
        prompts=run.prompting.digests(),
        files={name: run.sources.sha256(source, run.files) for name, source in sources.items()},
        weights={},
        models=models,
        reused={},
        usage=[],
        analysis=None,
    )


def aspects(rubric: Rubric) -> list[str]:
    return [aspect.name for aspect in rubric.aspects]


def stored(row: Any) -> Manifest:
    """The manifest of an experiment, also one that is not prepared yet or that an older coordinator prepared."""
    known = row.manifest or {"services": {}, "rubrics": {}, "prompts": {}, "files": {}, "weights": {}}
    spec = resolved(row.resolved)
    later: dict[str, Any] = {"defaults": defaults(row.spec, row.resolved), "seeds": seeds(spec), "packages": {}}
    given = {"source": row.source, "text": row.spec, "spec": row.resolved, "analysis": None}
    given |= {"models": {}, "reused": {}, "judged_on": {}, "usage": []}
    return Manifest.model_validate(given | later | known)


def defaults(text: str, resolved: dict[str, Any]) -> list[Default]:
    """Every setting that has a value and is not in the file."""
    given = leaves(yaml.safe_load(text))
    return [Default(path=path, value=value) for path, value in leaves(resolved).items() if path not in given]


def seeds(spec: ExperimentSpec) -> dict[str, int]:
    trainings = {f"training {name}": spec.trainings[name].hyperparameters.seed for name in used_trainings(spec)}
    return {"decoding": spec.decoding.seed, "analysis": spec.analysis.seed} | trainings


@cache
def packages() -> dict[str, str]:
    """Name to version: Python, the coordinator, and everything that is installed beside it.

    In an image the coordinator is on the path without being installed, so it says its version itself.
    """
    installed = {one.name: one.version for one in metadata.distributions()}
    return {"python": python_version()} | dict(sorted(installed.items())) | {_PACKAGE: __version__}
