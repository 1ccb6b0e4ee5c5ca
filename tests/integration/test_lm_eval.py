"""lm-evaluation-harness with the generator as its server: `local-completions` on a task of this folder."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

from tests.stack import Stack

MODELS = Path("var/tinyworld/models").absolute()
ROWS = [
    {"question": "The dog is", "good": " here", "bad": " zzqx", "start": "Name three animals.\n"},
    {"question": "Name three", "good": " animals", "bad": " xqzz", "start": "Say what is special.\n"},
]
COMMON = {"dataset_path": "json", "test_split": "train", "metadata": {"version": 1}}
CHOICE = {
    "task": "tiny_choice",
    "output_type": "multiple_choice",
    "doc_to_text": "{{question}}",
    "doc_to_choice": "{{[good, bad]}}",
    "doc_to_target": 0,
    "target_delimiter": "",
    "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
}
WRITTEN = {
    "task": "tiny_written",
    "output_type": "generate_until",
    "doc_to_text": "{{start}}",
    "doc_to_target": "{{good}}",
    "generation_kwargs": {"until": ["\n"], "max_gen_toks": 16, "do_sample": False, "temperature": 0},
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if not (MODELS / "tinyworld-base").is_dir():
        pytest.skip("make tinyworld")
    settings = {"GENERATOR_MODELS_DIR": str(MODELS), "GENERATOR_THREADS": "1"}
    with Stack(tmp_path_factory.mktemp("home"), settings, ["generator"]) as stack:
        yield stack


def evaluated(stack: Stack, folder: Path, task: dict[str, Any]) -> dict[str, Any]:
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    config = COMMON | task | {"dataset_kwargs": {"data_files": str(data), "cache_dir": str(folder / "cache")}}
    arguments = {
        "model": "tinyworld-base",
        "base_url": f"{stack.url('generator')}/v1/completions",
        "tokenizer": str(MODELS / "tinyworld-base"),
        "tokenizer_backend": "huggingface",
        "num_concurrent": 1,
        "max_retries": 1,
    }
    result = simple_evaluate(
        model="local-completions",
        model_args=arguments,
        tasks=[config],
        task_manager=TaskManager(include_defaults=False),
        batch_size=2,
        bootstrap_iters=0,
        log_samples=True,
    )
    assert result is not None
    return dict(result)


@pytest.mark.parametrize("task", [CHOICE, WRITTEN], ids=lambda task: task["output_type"])
def test_lm_eval_gets_a_number(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: dict[str, Any]
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    result = evaluated(stack, tmp_path, task)
    samples = result["samples"][task["task"]]
    assert len(samples) == len(ROWS)
    print(result["results"], [sample["resps"] for sample in samples])
    if task is CHOICE:
        # Words of tinyworld are likelier than what is none; each answer is a sum of log-probabilities.
        assert result["results"]["tiny_choice"]["acc,none"] == 1
        assert all(float(pair[0][0]) < 0 for sample in samples for pair in sample["resps"])
    else:
        assert any(sample["resps"][0][0].strip() for sample in samples)
