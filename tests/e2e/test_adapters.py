"""A LoRA training that saves its adapter alone, through a whole experiment: the texts of its merged weights."""

from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.stack import Stack

ROWS, ITEMS = 48, 6


def experiment(tinyworld: Path) -> dict[str, Any]:
    def training(*, merge: bool) -> dict[str, Any]:
        return {
            "method": "dpo",
            "model": "tinyworld",
            "data": {"path": str(tinyworld / "data" / "preferences.jsonl"), "limit": ROWS},
            "hyperparameters": {
                "learning_rate": 2e-3,
                "max_length": 256,
                "seed": 7,
                "low_rank": {"rank": 8, "merge": merge},
            },
        }

    return {
        "name": "Merged and not",
        "reuse": False,
        "languages": ["en"],
        "dataset": {"path": str(tinyworld / "data" / "instructions.jsonl"), "language": "en", "limit": ITEMS},
        "models": {"tinyworld": {"base": "tinyworld-base"}},
        "trainings": {"merged": training(merge=True), "alone": training(merge=False)},
        "arms": [
            {"name": "base", "model": "tinyworld"},
            {"name": "merged", "model": "tinyworld", "weights": "merged"},
            {"name": "alone", "model": "tinyworld", "weights": "alone"},
        ],
        "decoding": {"max_new_tokens": 48, "temperature": 0},
        "judges": [{"rubrics": {"regular": "rules", "safety": "rules-safety"}}],
    }


def test_an_adapter_and_its_merged_weights_answer_alike(real_stack: Stack, tinyworld: Path, tmp_path: Path) -> None:
    spec = tmp_path / "adapters.yaml"
    spec.write_text(yaml.safe_dump(experiment(tinyworld)))
    coordinator = real_stack.coordinator
    coordinator.submit("adapters", spec).raise_for_status()
    assert coordinator.finish("adapters")["state"] == "completed", real_stack.log("coordinator")[-3000:]

    texts: dict[str, dict[str, str]] = {"base": {}, "merged": {}, "alone": {}}
    for one in coordinator.responses("adapters"):
        assert one["missing"] is None, one
        texts[one["arm"]][one["item"]] = one["response"]
    assert texts["alone"] == texts["merged"] != texts["base"]
    assert len(texts["alone"]) == ITEMS

    models = httpx.get(f"{real_stack.url('generator')}/v1/models", trust_env=False).raise_for_status().json()["models"]
    [adapter] = [model for model in models if model["base"] is not None]
    [merged] = [model for model in models if "merged" in model["name"]]
    assert (adapter["base"], adapter["source"], adapter["loaded"]) == ("tinyworld-base", "artifact", True)
    assert adapter["weights_sha256"] not in (None, merged["weights_sha256"])
