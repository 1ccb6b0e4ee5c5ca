"""What an experiment was made of."""

from typing import Any

from pydantic import Field

from .accounting import Usage
from .common import Info, Response
from .generator import ModelIdentity
from .judge import Rubric


class Default(Response):
    """A setting that the experiment file left out, and the value that took its place."""

    path: str = Field(examples=["decoding.temperature", "arms[0].prompting"])
    value: Any


class Manifest(Response):
    """What an experiment was made of: enough to tell two of them apart, and to do one again."""

    source: str = Field(description="Name of the experiment file.")
    text: str = Field(description="The experiment file as given.")
    spec: dict[str, Any] = Field(description="As resolved, with every default filled in.")
    defaults: list[Default] = Field(description="What was filled in.")
    seeds: dict[str, int] = Field(description="Of decoding, analysis and every training.")
    packages: dict[str, str] = Field(description="Versions of the coordinator and of what it is made of.")
    services: dict[str, Info]
    rubrics: dict[str, dict[str, list[str]]] = Field(description="Judge to rubric to its aspects.")
    judged_on: dict[str, list[Rubric]] = Field(description="Judge to the rubrics asked for, as it described them.")
    prompts: dict[str, str] = Field(description="sha256 of every prompt file used.")
    files: dict[str, str] = Field(description="sha256 of every data file used.")
    weights: dict[str, str] = Field(description="sha256 of the weights of every arm.")
    models: dict[str, ModelIdentity] = Field(
        description="What the generator said of the model of every arm that is not trained here. Without a digest,"
        " its name and source are all that tells these weights from others."
    )
    reused: dict[str, dict[str, int]] = Field(
        description="Phase to experiments from which its results were taken to how many."
    )
    usage: list[Usage] = Field(description="When it was analyzed; empty before.")
    analysis: dict[str, Any] | None = Field(
        description="The AnalysisRequest as sent, with the digest of the observations; null before the analysis."
    )
