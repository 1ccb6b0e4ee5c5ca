"""The form in which lm-evaluation-harness logs samples (its EvaluationTracker), an arm as model, a language as task."""

import hashlib
import json
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from plumbline_contracts.analyzer import AnalysisResponse, AspectMean
from plumbline_contracts.coordinator import Manifest, ResponseRecord

from ..client import PlumblineClient
from .names import file_names

FILTER = "none"
Task = tuple[str, str]


def write(client: PlumblineClient, id: str, target: Path) -> int:
    """`ARM/samples_<task>_<time>.jsonl` and `ARM/results_<time>.json`, each task the experiment in one language.

    A score or finding that there is none of is null. The prompt is the instruction, the target is empty.
    """
    manifest, results, experiment = client.manifest(id), client.results(id), client.experiment(id)
    time = f"{experiment.finished:%Y-%m-%dT%H-%M-%S.%f}"
    task, arms = (
        file_names([experiment.name])[experiment.name],
        file_names(arm["name"] for arm in manifest.spec["arms"]),
    )
    count, counts = 0, defaultdict[Task, int](int)
    with ExitStack() as open_files:
        files: dict[Task, TextIO] = {}
        for count, record in enumerate(client.responses(id), start=1):  # noqa: B007 - the last count is the result
            key = record.arm, record.language
            if key not in files:
                (folder := target / arms[record.arm]).mkdir(parents=True, exist_ok=True)
                name = f"samples_{task}-{record.language}_{time}.jsonl"
                files[key] = open_files.enter_context((folder / name).open("w", encoding="utf-8", newline="\n"))
            row = sample(counts[key], record, manifest)
            files[key].write(json.dumps(row, ensure_ascii=False) + "\n")
            counts[key] += 1
    for arm in {arm for arm, _ in counts}:
        content = _results(arm, task, counts, results, manifest) | {"model_name_sanitized": arms[arm]}
        text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
        (target / arms[arm] / f"results_{time}.json").write_text(text, encoding="utf-8")
    return count


def sample(number: int, record: ResponseRecord, manifest: Manifest) -> dict[str, Any]:
    doc = record.model_dump(include={"item", "language", "category", "instruction"})
    prompt = record.instruction or ""
    metrics: dict[str, float | None] = {_metric(one.judge, one.aspect): one.score for one in record.judgments}
    metrics |= {one.detector.value: {"found": 1.0, "absent": 0.0}.get(one.finding.value) for one in record.detections}
    return {
        "doc_id": number,
        "doc": doc,
        "target": "",
        "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": _generation(manifest)}},
        "resps": [[record.raw_response or ""]],
        "filtered_resps": [record.response or ""],
        "filter": FILTER,
        "metrics": list(metrics),
        "doc_hash": _hash(json.dumps(doc, indent=2, ensure_ascii=False)),
        "prompt_hash": _hash(prompt),
        "target_hash": _hash(""),
        **metrics,
    }


def _generation(manifest: Manifest) -> dict[str, Any]:
    """The decoding in the words of the harness."""
    decoding = manifest.spec["decoding"]
    sampling = {name: decoding[name] for name in ("temperature", "top_p", "top_k", "repetition_penalty")}
    shared = {"until": decoding["stop"], "max_gen_toks": decoding["max_new_tokens"]}
    return shared | sampling | {"do_sample": decoding["temperature"] > 0}


def _results(
    arm: str, task: str, counts: dict[Task, int], results: AnalysisResponse, manifest: Manifest
) -> dict[str, Any]:
    tasks = {language: f"{task}-{language}" for of, language in counts if of == arm}
    means = [mean for mean in results.means if mean.arm == arm]
    return {
        "results": {
            name: {"alias": name} | _means(mean for mean in means if mean.language == language)
            for language, name in tasks.items()
        },
        "configs": {name: {"task": name, "generation_kwargs": _generation(manifest)} for name in tasks.values()},
        "versions": dict.fromkeys(tasks.values(), 1),
        "n-shot": dict.fromkeys(tasks.values(), 0),
        "n-samples": {
            name: {"original": counts[arm, language], "effective": counts[arm, language]}
            for language, name in tasks.items()
        },
        "model_source": "plumbline",
        "model_name": arm,
    }


def _means(means: Any) -> dict[str, float | None]:
    found: list[AspectMean] = list(means)
    return {f"{_metric(mean.judge, mean.aspect)},{FILTER}": mean.mean for mean in found}


def _metric(judge: str, aspect: str) -> str:
    return f"{judge}/{aspect}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
