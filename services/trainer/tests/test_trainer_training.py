"""Real SFT and DPO on a tiny model, through the service."""

import hashlib
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from plumbline_contracts.common import Artifact
from plumbline_kit.artifacts import digest

CHECKPOINT_STEPS = 15
Start = Callable[..., Any]


@pytest.fixture(scope="module")
def trained(start: Start, world: Any, tiny: Path) -> dict[str, Any]:
    """Two equal SFT jobs and DPO jobs with LoRA, merged and alone, ended; and the service."""
    service = start(PARALLEL=2, CHECKPOINT_STEPS=CHECKPOINT_STEPS)

    def preference(*, merge: bool) -> dict[str, Any]:
        low_rank = {"rank": 4, "dropout": 0.1, "merge": merge}
        return world.request("dpo", epochs=2, loss=["sigmoid", "sft"], low_rank=low_rank)

    requests = {
        "one": world.request(),
        "two": world.request(),
        "dpo": preference(merge=True),
        "adapter": preference(merge=False),
    }
    for id, request in requests.items():
        assert service.put(id, request).status_code == 202
    return {"service": service} | {id: service.wait(id) for id in requests}


def weights(world: Any, training: dict[str, Any]) -> Path:
    return world.store.path(Artifact.model_validate(training["weights"]))


@pytest.mark.parametrize("id", ["one", "dpo"])
def test_weights_are_changed_and_load(world: Any, tiny: Path, trained: dict[str, Any], id: str) -> None:
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    assert trained[id]["state"] == "completed", trained[id]["cause"]
    folder = weights(world, trained[id])
    expected = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert {file.name for file in folder.iterdir()} == expected
    before, after = load_file(tiny / "model.safetensors"), load_file(folder / "model.safetensors")
    assert before.keys() == after.keys()
    assert any(not before[name].equal(after[name]) for name in before)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.config.use_cache
    assert tokenizer.eos_token == "</s>"


def test_sft_teaches_the_answers_and_to_end_them(world: Any, trained: dict[str, Any]) -> None:
    losses = [event["progress"]["loss"] for event in trained["service"].events("one") if event["progress"]]
    assert losses[-1] < 0.7 * losses[1]


def test_the_same_seed_gives_the_same_digest(trained: dict[str, Any]) -> None:
    assert trained["one"]["weights"]["sha256"] == trained["two"]["weights"]["sha256"]


def test_an_adapter_alone_names_its_base_and_merges_to_the_merged_weights(
    world: Any, tiny: Path, trained: dict[str, Any]
) -> None:
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    folder = weights(world, trained["adapter"])
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == ("tiny", None)
    assert json.loads((folder / "base.json").read_text()) == {"model": "tiny", "sha256": digest(tiny)[0]}
    assert not [file for file in folder.iterdir() if str(tiny.parent) in file.read_bytes().decode("latin-1")]
    assert config["target_modules"] == sorted(config["target_modules"])  # peft's own order is each process's
    assert trained["adapter"]["weights"]["bytes"] < trained["dpo"]["weights"]["bytes"]

    together = f"{trained['adapter']['weights']['sha256']}  adapter\n{digest(tiny)[0]}  base\n"
    assert trained["adapter"]["weights_sha256"] == hashlib.sha256(together.encode()).hexdigest()
    assert trained["dpo"]["weights_sha256"] == trained["dpo"]["weights"]["sha256"]

    base = AutoModelForCausalLM.from_pretrained(tiny, dtype="float32")
    merged = PeftModel.from_pretrained(base, folder).merge_and_unload().state_dict()
    expected = load_file(weights(world, trained["dpo"]) / "model.safetensors")
    assert all(merged[name].equal(weight) for name, weight in expected.items())


def test_a_training_over_an_adapter_is_refused(world: Any, trained: dict[str, Any]) -> None:
    request = world.request() | {"model": trained["adapter"]["weights"]["uri"]}
    assert trained["service"].put("over-adapter", request).status_code == 202
    assert "train it with merge: true" in trained["service"].wait("over-adapter")["cause"]


def test_events_tell_the_whole_history(trained: dict[str, Any]) -> None:
    events = trained["service"].events("dpo")
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert [events[0]["state"], events[1]["state"], events[-1]["state"]] == ["queued", "running", "completed"]
    steps = [event["progress"] for event in events if event["progress"]]
    assert [step["step"] for step in steps] == list(range(31))  # 60 rows, 2 epochs, 4 a step
    assert all(step["total_steps"] == 30 and 0 <= step["reward_accuracy"] <= 1 for step in steps[1:])
    assert trained["dpo"]["progress"] == steps[-1]


def test_nothing_is_left_beside_the_records(trained: dict[str, Any]) -> None:
    names = {path.name for path in trained["service"].folder("one").iterdir()}
    assert names == {"request.json", "plan.json", "state.json", "events.jsonl", "outcome.json", "log.txt"}


def test_a_killed_service_goes_on_at_the_checkpoint_to_the_same_weights(
    start: Start, world: Any, trained: dict[str, Any], until: Callable[[Callable[[], bool]], None]
) -> None:
    first = start(CHECKPOINT_STEPS=CHECKPOINT_STEPS)
    first.put("again", world.request())
    child = first.child("again")
    until(first.folder("again").joinpath(f"work/checkpoints/checkpoint-{CHECKPOINT_STEPS}/COMPLETE").exists)
    first.end(signal.SIGKILL)
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)

    second = start(CHECKPOINT_STEPS=CHECKPOINT_STEPS, JOBS_DIR=first.settings["JOBS_DIR"])
    training = second.wait("again")
    assert training["weights"]["sha256"] == trained["one"]["weights"]["sha256"]
    events = second.events("again")
    states = [event["state"] for event in events if event["progress"] is None]
    assert states == ["queued", "running", "queued", "running", "completed"]
    taken_up = [
        event["progress"]["step"] for event in events if event["progress"] and event["progress"]["loss"] is None
    ]
    assert taken_up[0] == 0
    assert taken_up[1] >= CHECKPOINT_STEPS


def test_unknown_models_are_refused_at_once(world: Any, trained: dict[str, Any]) -> None:
    for model, kind in {"nowhere": "unknown-model", "artifact:nowhere": "unknown-artifact"}.items():
        problem = trained["service"].put("unknown", world.request() | {"model": model})
        assert (problem.status_code, problem.json()["type"].rpartition(":")[2]) == (422, kind)
    assert trained["service"].http.get("/v1/trainings/unknown").status_code == 404
