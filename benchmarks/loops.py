"""Loops ended early on tinyworld's base model, beside letting every text run: tokens, time, and what detectors find.

    .venv/bin/python -m benchmarks.loops var/tinyworld --tokens 96 384

The real local engine, greedy, in this process. Every text that was ended is checked to be the beginning of the one that
ran, and both are looked at by all detectors.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from plumbline_analyzer import detectors
from plumbline_analyzer.detectors.identifier import LanguageIdentifier
from plumbline_contracts.analyzer import DetectionItem, Detector, Finding
from plumbline_contracts.generator import Decoding, Generation, GenerationRequest, Prompt, StopLoops
from plumbline_coordinator.prompting import FENCED_STOPS, fenced
from plumbline_generator.local import LocalGenerator
from plumbline_generator.settings import Settings

LANGUAGES = ("en", "fr", "es")
STOP_LOOPS = StopLoops(audit_share=0)


COLUMNS = (
    "prompting, limit, responses, ended as loops, tokens if all run, tokens written, saved, s if all run, s, changed"
)


@dataclass
class Row:
    """`changed`: loops of which a detector other than `truncated` says something else than of the whole text."""

    responses: int = 0
    ended: int = 0
    changed: int = 0
    tokens: list[int] = field(default_factory=lambda: [0, 0])
    seconds: list[float] = field(default_factory=lambda: [0.0, 0.0])


def requests(world: Path, prompting: str, tokens: int) -> Iterator[tuple[str, GenerationRequest]]:
    for language in LANGUAGES:
        rows = instructions(world, language)
        prefix = (world / "prompts" / f"urial.{language}.txt").read_text("utf-8").rstrip("\n") + "\n\n"
        urial = prompting == "URIAL"
        texts = [fenced(row) if urial else f"{row}\n" for row in rows]
        yield (
            language,
            GenerationRequest(
                model="tinyworld-base",
                prefix=prefix if urial else "",
                prompts=[Prompt(id=str(number), text=text) for number, text in enumerate(texts)],
                decoding=Decoding(max_new_tokens=tokens, stop=FENCED_STOPS if urial else []),
            ),
        )


def instructions(world: Path, language: str) -> list[str]:
    file = world / "data" / ("instructions.jsonl" if language == "en" else f"instructions.{language}.jsonl")
    return [json.loads(line)["instruction"] for line in file.read_text("utf-8").splitlines()]


async def measure(world: Path, generator: LocalGenerator, prompting: str, tokens: int) -> Row:
    row, registry = Row(), detectors.registry(LanguageIdentifier(list(LANGUAGES)))
    for language, free in requests(world, prompting, tokens):
        decoding = free.decoding.model_copy(update={"stop_loops": STOP_LOOPS})
        whole = await timed(generator, free, row, 0)
        stopped = await timed(generator, free.model_copy(update={"decoding": decoding}), row, 1)
        for instruction, one, early in zip(instructions(world, language), whole, stopped, strict=True):
            assert one.raw_text.startswith(early.raw_text), (one.raw_text, early.raw_text)
            row.responses += 1
            if early.finish_reason == "loop":
                item = DetectionItem(
                    id="1", instruction=instruction, response="", language=language, prefix=free.prefix
                )
                row.ended += 1
                row.changed += findings(item, one, registry) != findings(item, early, registry)
    return row


async def timed(generator: LocalGenerator, request: GenerationRequest, row: Row, which: int) -> list[Generation]:
    begun = time.perf_counter()
    answer = await generator.generate(request)
    row.seconds[which] += time.perf_counter() - begun
    row.tokens[which] += sum(one.completion_tokens for one in answer.generations)
    return answer.generations


def findings(item: DetectionItem, one: Generation, registry: dict[Detector, detectors.Detect]) -> list[Finding]:
    item = item.model_copy(update={"response": one.text, "finish_reason": one.finish_reason})
    found = detectors.detect(item, registry).detections
    return [detection.finding for detection in found if detection.detector != Detector.TRUNCATED]


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("world", type=Path)
    parser.add_argument("--tokens", type=int, nargs="+", default=[96, 384], help="Limits of new tokens.")
    arguments = parser.parse_args()
    generator = LocalGenerator.load(Settings(models_dir=arguments.world / "models"))
    warm = next(requests(arguments.world, "zero-shot", 8))[1]
    await generator.generate(warm)
    names = COLUMNS.split(", ")
    print("| " + " | ".join(names) + " |", "|" + "---|" * len(names), sep="\n")
    for tokens, prompting in product(arguments.tokens, ("zero-shot", "URIAL")):
        row = await measure(arguments.world, generator, prompting, tokens)
        (free, written), (all_run, ended) = row.tokens, row.seconds
        print(
            f"| {prompting} | {tokens} | {row.responses} | {row.ended} | {free:,} | {written:,}"
            f" | {1 - written / free:.1%} | {all_run:.1f} | {ended:.1f} | {row.changed} of {row.ended} |"
        )


if __name__ == "__main__":
    asyncio.run(main())
