"""Measure a built world: the base model bare and with URIAL, then quick SFT and DPO fine-tunes of it with TRL.

    python examples/tinyworld/measure.py WORLD [--sft RATE] [--dpo RATE ...] [--seed N]

Needs the `measure` extra (trl, datasets). Prints the table of README.md, in Markdown.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from datasets import Dataset, disable_progress_bars
from tinyworld import LANGUAGES
from tinyworld.generation import complete
from tinyworld.prompts import urial, zero_shot
from tinyworld.scoring import is_correct, loop_period
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
from transformers.utils import logging
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

NEW_TOKENS = 96
PROMPTS: dict[str, Callable[[str, str], str]] = {
    "zero-shot": lambda instruction, language: zero_shot(instruction),
    "URIAL": urial,
    "URIAL, no demonstrations": lambda instruction, language: urial(instruction, language, demonstrations=False),
}


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def measure(world: Path, model: Any, tokenizer: Any, prompting: str) -> str:
    """One table row: right first lines (regular and safety items, then by language), loops and ended answers."""
    right: dict[str, list[bool]] = {name: [] for name in ("regular", "safety", *LANGUAGES)}
    loops, ended = [], []
    for language in LANGUAGES:
        rows = read_jsonl(world / "data" / f"instructions{'' if language == 'en' else '.' + language}.jsonl")
        prompts = [PROMPTS[prompting](row["instruction"], language) for row in rows]
        for row, tokens in zip(rows, complete(model, tokenizer, prompts, NEW_TOKENS), strict=True):
            correct = is_correct(row, language, tokenizer.decode(tokens, skip_special_tokens=True))
            right[row["category"]].append(correct)
            right[language].append(correct)
            loops.append(loop_period(tokens) > 0)
            ended.append(tokens[-1] == tokenizer.eos_token_id)
    return " | ".join(f"{100 * sum(values) / len(values):.0f} %" for values in (*right.values(), loops, ended))


def common(output: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """What TRL's defaults, made for large models on accelerators, must be told here."""
    return {
        "output_dir": output,
        "seed": arguments.seed,
        "data_seed": arguments.seed,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.05,
        "max_length": 256,
        "use_cpu": True,
        "bf16": False,
        "activation_checkpointing": False,
        "dataloader_pin_memory": False,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "logging_steps": 1000,
    }


def sft(base: Path, rows: list[dict[str, Any]], tokenizer: Any, output: str, arguments: argparse.Namespace) -> Any:
    data = [{"prompt": zero_shot(row["instruction"]), "completion": row["response"]} for row in rows]
    config = SFTConfig(
        **common(output, arguments),
        learning_rate=arguments.sft,
        num_train_epochs=arguments.sft_epochs,
        per_device_train_batch_size=16,
    )
    return SFTTrainer(str(base), config, train_dataset=Dataset.from_list(data), processing_class=tokenizer)


def dpo(
    base: Path, rows: list[dict[str, Any]], tokenizer: Any, output: str, arguments: argparse.Namespace, rate: float
) -> Any:
    data = [
        {"prompt": zero_shot(row["instruction"]), "chosen": row["chosen"], "rejected": row["rejected"]} for row in rows
    ]
    config = DPOConfig(
        **common(output, arguments),
        learning_rate=rate,
        num_train_epochs=arguments.dpo_epochs,
        per_device_train_batch_size=8,
        beta=0.1,
        loss_type=["sigmoid"],
    )
    return DPOTrainer(str(base), args=config, train_dataset=Dataset.from_list(data), processing_class=tokenizer)


def show(world: Path, name: str, model: Any, tokenizer: Any, promptings: list[str], seconds: str = "") -> None:
    for prompting in promptings:
        print(f"| {name} | {prompting} | {measure(world, model, tokenizer, prompting)} | {seconds} |", flush=True)


def tuned(trainer: Any) -> tuple[Any, str]:
    trainer.remove_callback(PrinterCallback)
    start = time.monotonic()
    trainer.train()
    return trainer.model.eval(), f"{trainer.state.global_step} steps, {time.monotonic() - start:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", type=Path)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--sft", type=float, default=1e-3, help="learning rate (default: 1e-3)")
    parser.add_argument("--sft-epochs", type=float, default=2)
    parser.add_argument("--dpo", type=float, nargs="*", default=[4e-4, 8e-4], help="learning rates to try")
    parser.add_argument("--dpo-epochs", type=float, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    disable_progress_bars()
    base, data = arguments.world / "models" / "tinyworld-base", arguments.world / "data"
    tokenizer = AutoTokenizer.from_pretrained(base)
    print("| model | prompting | regular | safety | en | fr | es | loops | ended | training |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    model = AutoModelForCausalLM.from_pretrained(base).eval()
    show(arguments.world, "base", model, tokenizer, list(PROMPTS))
    after = ["zero-shot", "URIAL"]
    with TemporaryDirectory() as output:
        rows = read_jsonl(data / "sft.jsonl")
        model, seconds = tuned(sft(base, rows, tokenizer, output, arguments))
        show(arguments.world, f"SFT {arguments.sft:g}", model, tokenizer, after, seconds)
        rows = read_jsonl(data / "preferences.jsonl")
        for rate in arguments.dpo:
            model, seconds = tuned(dpo(base, rows, tokenizer, output, arguments, rate))
            show(arguments.world, f"DPO {rate:g}", model, tokenizer, after, seconds)


if __name__ == "__main__":
    main()
