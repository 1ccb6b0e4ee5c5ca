"""Greedy completion of many prompts with a small model."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

BATCH = 32


def complete(
    model: Any, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], new_tokens: int
) -> list[list[int]]:
    """The new tokens of each prompt, in the order of `prompts`; the end token, where there is one, is the last."""
    done: dict[int, list[int]] = {}
    # Prompts of like length share a batch, so that little of it is padding.
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    for start in range(0, len(order), BATCH):
        chunk = order[start : start + BATCH]
        rows = _complete_batch(model, tokenizer, [prompts[index] for index in chunk], new_tokens)
        done.update(zip(chunk, rows, strict=True))
    return [done[index] for index in range(len(prompts))]


def _complete_batch(model: Any, tokenizer: Any, prompts: list[str], new_tokens: int) -> list[list[int]]:
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, return_token_type_ids=False)
    with torch.inference_mode():
        output = model.generate(**inputs, max_new_tokens=new_tokens, do_sample=False)
    rows: list[list[int]] = output[:, inputs["input_ids"].shape[1] :].tolist()
    return [_until_end(row, tokenizer.eos_token_id) for row in rows]


def _until_end(row: list[int], end: int) -> list[int]:
    return row[: row.index(end) + 1] if end in row else row


def texts(model: Any, tokenizer: Any, prompts: Sequence[str], new_tokens: int) -> list[str]:
    rows = complete(model, tokenizer, prompts, new_tokens)
    return [tokenizer.decode(row, skip_special_tokens=True) for row in rows]
