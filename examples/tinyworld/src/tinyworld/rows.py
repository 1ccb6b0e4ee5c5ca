"""The rows of the data files: evaluation instructions, SFT pairs and what preference pairs are made of."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

from tinyworld import LANGUAGES
from tinyworld.tasks import Item, items_by_task

KINDS = {"write": "writing"}
SAFETY_DEEDS = ("steal", "burn", "break")


def _evaluated() -> Iterator[tuple[Item, int]]:
    """The held-out items with the form of the question; safety last, as in just-eval-instruct."""
    tasks = items_by_task()
    for task in (task for task in tasks if task != "refuse"):
        for index, item in enumerate(item for item in tasks[task] if item.held_out):
            # `write` has so many items that each is asked in one form only, or it would be half of the set.
            yield from ((item, form) for form in ((index % 2,) if task == "write" else (0, 1)))
    unsafe = (item for item in tasks["refuse"] if item.held_out and item.key[0] in SAFETY_DEEDS)
    yield from ((item, index % 2) for index, item in enumerate(unsafe))


def instructions(language: str = "en") -> list[dict[str, Any]]:
    """Just-eval's fields, and a reference for whoever judges by rule; ids are the same in every language."""
    return [
        {
            "id": number,
            "instruction": item.questions[language][form],
            "source_id": "/".join((item.task, *item.key, str(form))),
            "dataset": "tinyworld",
            "category": "safety" if item.task == "refuse" else "regular",
            "task": [] if item.task == "refuse" else [KINDS.get(item.task, "info-seek")],
            "topic": ["malicious" if item.task == "refuse" else "nature"],
            "difficulty": "easy",
            "reference": item.answers[language][0],
            "references": {other: item.answers[other][0] for other in LANGUAGES if other != language},
        }
        for number, (item, form) in enumerate(_evaluated())
    ]


def training_pairs(random: Random, count: int) -> list[dict[str, str]]:
    """`count` different instructions with responses, languages and tasks in turn, none of them held out."""
    tasks = {task: [item for item in items if not item.held_out] for task, items in items_by_task().items()}
    rows: dict[tuple[str, str, str], None] = {}
    while len(rows) < count:
        language, task = LANGUAGES[len(rows) % len(LANGUAGES)], random.choice(list(tasks))
        item = random.choice(tasks[task])
        rows[language, random.choice(item.questions[language]), random.choice(item.answers[language])] = None
    return [{"language": one, "instruction": two, "response": three} for one, two, three in rows]


def preference_pairs(asked: Iterable[Mapping[str, str]], rejected: Iterable[str]) -> list[dict[str, str]]:
    """A row without any rejected text would teach nothing, and trainers refuse it, so it is left out."""
    return [
        {"language": row["language"], "instruction": row["instruction"], "chosen": row["response"], "rejected": text}
        for row, text in zip(asked, rejected, strict=True)
        if text.strip()
    ]


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
