"""URIAL generation: prompts behind one long prefix, by our local engine and by what a user would otherwise take.

    python benchmarks/urial_generation.py [--model m30] [--engines ours one-by-one ...] [--store var/urial]
    python benchmarks/urial_generation.py --model m30 --table      # of what is stored

Models are Llamas with random weights (m30, m135) and tinyworld-base, which is trained. Each engine runs in a process
of its own, with `--threads` threads; slow ones run on the first prompts only, and time is scaled. What differs from one
by one is shown with the gap between the two likeliest logits where it begins. `--llama PYTHON` names a Python that has
llama-cpp-python, gguf and safetensors.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

ROOT = Path(__file__).resolve().parents[1]
TINYWORLD = ROOT / "var" / "tinyworld"
SHAPES: dict[str, dict[str, int]] = {
    "m30": {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 8, "num_attention_heads": 6}
    | {"num_key_value_heads": 2, "vocab_size": 32000},
    "m135": {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9}
    | {"num_key_value_heads": 3, "vocab_size": 49152},
}
PROMPTS, PREFIX, NEW = 64, 1000, 128
# Engine and options -> prompts that it runs, per model; 0 is all.
RUNS: dict[str, dict[str, int]] = {
    "one-by-one": {"m30": 8, "m135": 4},
    "ours float32 32": {},
    "ours float32 64": {},
    "ours bfloat16 64": {},
    "padded 4": {"m30": 8, "m135": 4},
    "padded 8": {"m30": 8, "m135": 8},
    "padded 16": {"m30": 16, "m135": 16},
    "continuous": {"m30": 4, "m135": 4},
    "ctranslate2 1 1 4 float32": {"m30": 8, "m135": 4},
    "ctranslate2 2 1 4 float32": {"m30": 16, "m135": 8},
    "ctranslate2 2 1 16 float32": {"m30": 32, "m135": 32},
    "llama.cpp": {"m30": 8, "m135": 4},
}


def make(folder: Path, name: str) -> None:
    """The model, which names no end token, tinyworld's tokenizer, and the task."""
    base = TINYWORLD / "models" / "tinyworld-base"
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.save_pretrained(folder)
    if name == "tinyworld":
        model: Any = AutoModelForCausalLM.from_pretrained(base)
        model.config.eos_token_id = model.generation_config.eos_token_id = None
    else:
        torch.manual_seed(0)
        fixed = {"max_position_embeddings": 2048, "tie_word_embeddings": True, "initializer_range": 0.05}
        model = LlamaForCausalLM(
            LlamaConfig(**SHAPES[name], **fixed, pad_token_id=0, bos_token_id=1, eos_token_id=None)
        )
    model.save_pretrained(folder)
    (folder / "task.json").write_text(json.dumps(task(tokenizer)))


def task(tokenizer: Any) -> dict[str, Any]:
    """64 prompts: a prefix of 1,000 tokens, then 30 to 80 of instructions."""
    urial = (TINYWORLD / "prompts" / "urial.en.txt").read_text()
    lines = (TINYWORLD / "data" / "instructions.jsonl").read_text().splitlines()
    asked = [json.loads(line)["instruction"] for line in lines]
    prefix = tokenizer(urial * 20).input_ids[:PREFIX]
    queries = []
    for place in range(PROMPTS):
        text = "\n".join(asked[(place * 7 + step) % len(asked)] for step in range(30))
        queries.append(tokenizer(text, add_special_tokens=False).input_ids[: 30 + place * 13 % 51])
    return {"prefix": prefix, "queries": queries, "new": NEW}


def run(folder: Path, words: list[str], sample: int, python: str, threads: int) -> dict[str, Any] | None:
    script = str(Path(__file__).with_name("urial_engines.py"))
    command = [python, script, str(folder), str(sample), *words]
    environment = os.environ | {"URIAL_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"{' '.join(words)}: skipped, {last[:200]}", file=sys.stderr)
        return None
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def gaps(folder: Path, expected: list[list[int]], found: list[list[int]]) -> list[float]:
    """Where a text leaves the expected one: by how much the likeliest logit was above the second."""
    given = json.loads((folder / "task.json").read_text())
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    differences = []
    for query, one, other in zip(given["queries"], expected, found, strict=False):
        if one == other:
            continue
        place = next(place for place, (left, right) in enumerate(zip(one, other, strict=True)) if left != right)
        with torch.inference_mode():
            logits = model(torch.tensor([given["prefix"] + query + one[:place]]), logits_to_keep=1).logits[0, -1]
        best = logits.topk(2).values
        differences.append(float(best[0] - best[1]))
    return differences


def table(folder: Path, stored: dict[str, Any]) -> None:
    reference = stored.get("one-by-one")
    print(f"\n{folder.name}: {PROMPTS} prompts behind {PREFIX} tokens, {NEW} new tokens each")
    print(
        "| engine | prompts run | tokens/s | per CPU s | x one by one (CPU) | first result, s | peak MB"
        " | identical | gaps |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, one in stored.items():
        if name == "bound":
            continue
        ran = len(one["tokens"])
        speed, per_cpu = ran * NEW / one["seconds"], ran * NEW / one["cpu"]
        ratio = f"{per_cpu * reference['cpu'] / len(reference['tokens']) / NEW:.1f}" if reference else ""
        same, gap = "", ""
        if reference:
            compared = list(zip(one["tokens"], reference["tokens"], strict=False))
            same = f"{sum(left == right for left, right in compared)}/{len(compared)}"
            differ = gaps(folder, reference["tokens"], one["tokens"])
            gap = f"{min(differ):.1e} to {max(differ):.1e}" if differ else ""
        print(
            f"| {name} | {ran} | {speed:,.0f} | {per_cpu:,.0f} | {ratio} | {one['first']:.2f} | {one['mb']:,.0f}"
            f" | {same} | {gap} |"
        )
    if "bound" in stored:
        bounds(folder, stored["bound"])


def bounds(folder: Path, machine: dict[str, float]) -> None:
    """What the machine allows for the weights alone, without attention: 64 rows together, the prefix computed once."""
    print("machine: " + ", ".join(f"{name} {value:,.0f}" for name, value in machine.items()))
    config = json.loads((folder / "config.json").read_text())
    given = json.loads((folder / "task.json").read_text())
    weights = sum(parameter.numel() for parameter in LlamaForCausalLM._from_config(LlamaConfig(**config)).parameters())
    prompt = PREFIX + sum(map(len, given["queries"]))
    for dtype, size in (("float32", 4), ("bfloat16", 2)):
        step = max(
            weights * size / machine["triad GB/s"] / 1e9,
            2 * weights * PROMPTS / machine[f"{dtype} GFLOP/s, 64 rows"] / 1e9,
        )
        seconds = NEW * step + 2 * weights * prompt / machine[f"{dtype} GFLOP/s, 1024 rows"] / 1e9
        print(f"bound in {dtype}: {PROMPTS * NEW / seconds:,.0f} tokens/s (by arithmetic and bandwidth of the weights)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=[*SHAPES, "tinyworld"], default="m30")
    parser.add_argument("--engines", nargs="*", default=["bound", *RUNS], help="beginnings of their names")
    parser.add_argument("--store", type=Path, default=ROOT / "var" / "urial")
    parser.add_argument("--llama", default=sys.executable)
    parser.add_argument("--threads", type=int, default=2, help="1: tokens per CPU second hold on a busy machine, too")
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    folder: Path = asked.store / asked.model
    if not (folder / "task.json").exists():
        make(folder, asked.model)
    file = folder / "results.json"
    stored: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    for name in [] if asked.table else ["bound", *RUNS]:
        if name.startswith(tuple(asked.engines)):
            python = asked.llama if name.startswith("llama") else sys.executable
            found = run(folder, name.split(), RUNS.get(name, {}).get(asked.model, 0), python, asked.threads)
            stored |= {} if found is None else {name: found}
            file.write_text(json.dumps(stored))
    table(folder, {name: stored[name] for name in ["bound", *RUNS] if name in stored})


if __name__ == "__main__":
    main()
