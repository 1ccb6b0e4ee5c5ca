"""URIAL generation: prompts behind one long prefix, by our local engine and by what a user would otherwise take.

    python benchmarks/urial_generation.py [--model m30] [--engines ours one-by-one ...] [--store var/urial]
    python benchmarks/urial_generation.py --model m30 --table      # of what is stored

Models are Llamas with random weights (m30, m135; b1.2 for a GPU, which is used where there is one) and tinyworld-base,
which is trained. Engines with a temperature draw, all others are greedy. Each runs in a process of its own, with
`--threads` threads; slow ones run on the first prompts only, and time is scaled. What differs from one by one is shown
with the gap between the two likeliest logits where it begins. `--llama PYTHON` names a Python that has
llama-cpp-python, gguf and safetensors.
"""

import argparse
import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ROOT = Path(__file__).resolve().parents[1]
TINYWORLD = ROOT / "var" / "tinyworld"
SHAPES: dict[str, dict[str, int]] = {
    "m30": {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 8, "num_attention_heads": 6}
    | {"num_key_value_heads": 2, "vocab_size": 32000},
    "m135": {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9}
    | {"num_key_value_heads": 3, "vocab_size": 49152},
    "b1.2": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32}
    | {"num_key_value_heads": 8, "vocab_size": 128256},
}
LARGE = ("b1.2",)  # kept in bfloat16
PROMPTS, PREFIX, NEW = 64, 1000, 128
DRAWN = ("temperature=0.7", "temperature=0.7 top_k=50", "temperature=0.7 top_p=0.9")
# Engine and options -> prompts that it runs, per model; 0 is all.
RUNS: dict[str, dict[str, int]] = {
    "one-by-one": {"m135": 4},
    "ours float32 16": {},
    "ours float32 32": {},
    "ours float32 64": {},
    "ours bfloat16 64": {},
    "padded 4": {"m135": 8},
    "padded 8": {"m135": 8},
    "padded 16": {"m135": 16},
    "padded 32": {"m135": 32},
    "padded 64": {"m135": 64},
    "cached 16": {"m135": 16},
    "cached 64": {},
    **{f"ours float32 64 {drawn}": {} for drawn in DRAWN},
    **{f"padded 16 float32 {drawn}": {"m135": 16} for drawn in DRAWN},
    "continuous": {"m30": 16, "m135": 8},
    "ctranslate2 1 2 4 float32": {"m135": 8},
    "ctranslate2 1 2 16 float32": {"m135": 16},
    "ctranslate2 2 1 16 float32": {"m135": 32},
    "ctranslate2 2 1 32 float32": {"m135": 64},
    "llama.cpp": {"m135": 8},
}
# On a GPU, in place of those.
GPU_RUNS: dict[str, dict[str, int]] = {
    "one-by-one bfloat16": {"b1.2": 4},
    "ours bfloat16 64": {},
    "ours bfloat16 16": {},
    "padded 16 bfloat16": {},
    "padded 64 bfloat16": {},
    "cached 64 bfloat16": {},
    "continuous bfloat16": {},
}
if DEVICE == "cuda":
    RUNS = GPU_RUNS


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
        config = LlamaConfig(**SHAPES[name], **fixed, pad_token_id=0, bos_token_id=1, eos_token_id=None)
        with torch.device(DEVICE):
            model = LlamaForCausalLM(config).to(torch.bfloat16 if name in LARGE else torch.float32)
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
    """Where a text leaves the expected one: by how much the likeliest logit was above the second; of eight texts."""
    given = json.loads((folder / "task.json").read_text())
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").to(DEVICE)
    differences = []
    pairs = zip(given["queries"], expected, found, strict=False)
    for query, one, other in islice((pair for pair in pairs if pair[1] != pair[2]), 8):
        place = next(place for place, (left, right) in enumerate(zip(one, other, strict=True)) if left != right)
        with torch.inference_mode():
            ids = torch.tensor([given["prefix"] + query + one[:place]], device=DEVICE)
            logits = model(ids, logits_to_keep=1).logits[0, -1]
        best = logits.topk(2).values
        differences.append(float(best[0] - best[1]))
    return differences


def table(folder: Path, stored: dict[str, Any]) -> None:
    reference = next((one for name, one in stored.items() if name.startswith("one-by-one")), None)
    print(f"\n{folder.name}: {PROMPTS} prompts behind {PREFIX} tokens, {NEW} new tokens each")
    print(
        "| engine | prompts run | tokens/s | x one by one | per CPU s | x | cores used | first result, s | peak MB"
        " | identical | gaps |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name, one in stored.items():
        if name == "bound":
            continue
        ran = len(one["tokens"])
        speed, per_cpu, cores = ran * NEW / one["seconds"], ran * NEW / one["cpu"], one["cpu"] / one["seconds"]
        ratio, cpu_ratio, same, gap = "", "", "", ""
        if reference and "=" not in name:  # what is drawn differs anyway
            wrote = len(reference["tokens"]) * NEW
            ratio = f"{speed * reference['seconds'] / wrote:.1f}"
            cpu_ratio = f"{per_cpu * reference['cpu'] / wrote:.1f}"
            compared = list(zip(one["tokens"], reference["tokens"], strict=False))
            same = f"{sum(left == right for left, right in compared)}/{len(compared)}"
            differ = gaps(folder, reference["tokens"], one["tokens"])
            gap = f"{min(differ):.1e} to {max(differ):.1e}" if differ else ""
        print(
            f"| {name} | {ran} | {speed:,.0f} | {ratio} | {per_cpu:,.0f} | {cpu_ratio} | {cores:.1f}"
            f" | {one['first']:.2f} | {one['mb']:,.0f} | {same} | {gap} |"
        )
    if "bound" in stored:
        bounds(folder, stored["bound"])


def bounds(folder: Path, machine: dict[str, float]) -> None:
    """What the machine allows: all rows together, the prefix computed once, products and attention at full speed."""
    print("machine: " + ", ".join(f"{name} {value:,.0f}" for name, value in machine.items()))
    config = LlamaConfig(**json.loads((folder / "config.json").read_text()))
    queries = [len(query) for query in json.loads((folder / "task.json").read_text())["queries"]]
    with torch.device("meta"):
        model = LlamaForCausalLM._from_config(config)
    head = config.vocab_size * config.hidden_size  # the same weights as the embeddings
    weights = sum(parameter.numel() for parameter in model.parameters())
    seen = 4 * config.num_attention_heads * config.head_dim * config.num_hidden_layers  # operations per token seen
    kept = 2 * config.num_key_value_heads * config.head_dim * config.num_hidden_layers  # keys and values per token
    tail = sum(queries) + len(queries) * NEW // 2  # of all rows, on average
    step = 2 * weights * len(queries) + seen * (len(queries) * PREFIX + tail)
    start = 2 * (weights - head) * (PREFIX + sum(queries)) + seen * (PREFIX * PREFIX // 2 + PREFIX * sum(queries))
    for dtype, size in (("float32", 4), ("bfloat16", 2)):
        read = (weights + kept * (PREFIX + tail)) * size / machine["triad GB/s"] / 1e9
        computed = step / machine[f"{dtype} GFLOP/s, 64 rows"] / 1e9
        seconds = NEW * max(read, computed) + start / machine[f"{dtype} GFLOP/s, 1024 rows"] / 1e9
        print(
            f"bound in {dtype}: {len(queries) * NEW / seconds:,.0f} tokens/s;"
            f" a step reads for {read * 1e3:.1f} ms and computes for {computed * 1e3:.1f} ms"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=[*SHAPES, "tinyworld"], default="m30")
    parser.add_argument("--engines", nargs="*", default=["bound", *RUNS], help="their names, or beginnings of several")
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
    known = ["bound", *RUNS]
    for name in [] if asked.table else known:
        if any(name == one if one in known else name.startswith(one) for one in asked.engines):
            python = asked.llama if name.startswith("llama") else sys.executable
            found = run(folder, name.split(), RUNS.get(name, {}).get(asked.model, 0), python, asked.threads)
            stored |= {} if found is None else {name: found}
            file.write_text(json.dumps(stored))
    table(folder, {name: stored[name] for name in ["bound", *RUNS] if name in stored})


if __name__ == "__main__":
    main()
