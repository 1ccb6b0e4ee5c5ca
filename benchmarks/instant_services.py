"""A generator, a detector, and a judge that answer at once, or after a given time, over real HTTP.

Their answers are made of the id of an item alone, so that what came through the coordinator can be checked.
"""

import json
import sys
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from plumbline_contracts import analyzer, generator, judge
from plumbline_contracts.common import Artifact, Info
from pydantic import BaseModel

from benchmarks.stand_in import serve

RUBRIC, ASPECT = "instant", "quality"


def filled(kind: type[BaseModel], /, **given: Any) -> dict[str, Any]:
    """An answer of the contract with the fields that are given, and the others as empty as they may be."""
    names = {name: field.annotation for name, field in kind.model_fields.items() if name not in given}
    whole = kind.model_validate({name: _empty(of) for name, of in names.items()} | given)
    return whole.model_dump(mode="json")


def _empty(kind: Any) -> Any:
    if get_origin(kind) in (list, dict):
        return get_origin(kind)()
    if kind is Artifact:
        return Artifact(uri="artifact:instant-0", sha256="0" * 64, bytes=0)
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    return None if get_origin(kind) is UnionType or type(None) in get_args(kind) else kind()


def text_of(id: str) -> str:
    return f"This is what a model would say about item {id}. " * 8


def score_of(id: str) -> float:
    return 1.0 + int(id) % 5


class Instant:
    """All three as one: the first part of the path says which of them is asked."""

    def __init__(self, latency: float) -> None:
        self.latency = latency
        words = {"finish_reason": "eos", "prompt_tokens": 20, "completion_tokens": 80}
        self.generation = filled(generator.Generation, id="", text="", raw_text="", **words)
        detection = {"finding": "absent", "evidence": None, "start": None, "end": None}
        found = [detection | {"detector": name} for name in analyzer.Detector]
        self.detections = filled(analyzer.ItemDetections, id="", detections=found)
        score = filled(judge.AspectScore, aspect=ASPECT, score=3.0, rationale="as its id says")
        self.judgment = filled(judge.Judgment, id="", scores=[score])
        engine = {"model": "instant", "weights_sha256": None, "engine": "instant", "engine_version": "1"}
        self.generations = filled(generator.GenerationResponse, **engine)
        self.judgments = filled(judge.JudgmentResponse, rubric=RUBRIC, rubric_version="1")

    def __call__(self, path: str, body: bytes) -> tuple[float, bytes]:
        """What `stand_in` serves."""
        _, name, rest = path.split("/", 2)
        seconds = self.latency if rest in ("v1/generations", "v1/judgments") else 0.0
        return seconds, json.dumps(self.answer(name, rest, json.loads(body or b"{}"))).encode()

    def answer(self, name: str, path: str, request: dict[str, Any]) -> dict[str, Any]:
        match path:
            case "readyz":
                return {"status": "ok"}
            case "info":
                version = {"generator": generator, "analyzer": analyzer, "judge": judge}[name].VERSION
                contract = {"contract": f"{name}/{version}", "implementation": "instant", "version": "1"}
                return filled(Info, **contract, description="Answers at once.")
            case "v1/models":
                return {"models": [filled(generator.Model, name="instant", loaded=True)]}
            case "v1/models/identity":
                return filled(generator.ModelIdentity, model="instant", engine="instant", engine_version="1")
            case "v1/rubrics":
                aspect = {"name": ASPECT, "description": "From 1 to 5."}
                return {"rubrics": [filled(judge.Rubric, name=RUBRIC, version="1", aspects=[aspect])]}
            case "v1/generations":
                done = [self.generation | _texts(one["id"]) for one in request["prompts"]]
                return self.generations | {"generations": done}
            case "v1/detections":
                items = [self.detections | {"id": one["id"]} for one in request["items"]]
                return {"items": items, "detectors_version": "1"}
            case "v1/judgments":
                items = [self._judged(one["id"]) for one in request["items"]]
                return self.judgments | {"judgments": items}
            case "v1/analyses":
                return filled(analyzer.AnalysisResponse)
        raise ValueError(path)

    def _judged(self, id: str) -> dict[str, Any]:
        score = 3.0 if id == "test" else score_of(id)
        return self.judgment | {"id": id, "scores": [self.judgment["scores"][0] | {"score": score}]}


def _texts(id: str) -> dict[str, str]:
    return {"id": id, "text": text_of(id), "raw_text": text_of(id)}


if __name__ == "__main__":
    serve(int(sys.argv[1]), Instant(latency=float(sys.argv[2])))
