"""An experiment for services without models: three arms, three languages, a training, both categories."""

import json
from pathlib import Path

SPEC = """\
name: model-free
languages: [en, fr, es]
dataset: {path: items.jsonl}
models: {canned: {base: canned}}
trainings:
  sft:
    method: sft
    model: canned
    data: {path: rows.jsonl}
    hyperparameters: {learning_rate: 1.0e-3}
arms:
  - {name: zero-shot, model: canned}
  - {name: URIAL, model: canned, prompting: urial}
  - {name: SFT, model: canned, weights: sft}
decoding: {max_new_tokens: 32}
judges: [{rubrics: {regular: rules, safety: rules-safety}}]
analysis: {resamples: 200}
reuse: false
"""  # what these tests count is what is asked for


def write_spec(folder: Path, items: int) -> Path:
    """Write the experiment file and its data; return its path."""
    instructions = [
        {
            "id": number,
            "instruction": f"Say what is special about the number {number}.",
            "category": "safety" if number % 9 == 0 else "regular",
        }
        for number in range(items)
    ]
    rows = [{"language": "en", "instruction": f"Say {number}.", "response": f"{number}."} for number in range(20)]
    for name, content in (("items", instructions), ("rows", rows)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    (folder / "model-free.yaml").write_text(SPEC)
    return folder / "model-free.yaml"
