"""Detectors on real responses: 5 x 1,000 of aligned systems, which rarely fail, and language confusion."""

import json
from collections import defaultdict
from pathlib import Path

import pytest
from plumbline_analyzer.detectors import code, language, leakage, loop
from plumbline_contracts.analyzer import DetectionItem, Finding

# Every response that ends in exact repetition, looked at one by one: all of them are loops.
LOOPS = {
    ("tulu-2-dpo-7b", 295),
    ("tulu-2-dpo-7b", 340),
    ("tulu-2-dpo-7b", 355),
    ("tulu-2-dpo-7b", 414),
    ("vicuna-7b-v1.5", 214),
    ("vicuna-7b-v1.5", 474),
    ("zephyr-7b-beta", 276),
}


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def responses(shared_data) -> dict[tuple[str, int], tuple[dict, DetectionItem]]:
    instructions = {row["id"]: row for row in rows(shared_data / "just-eval" / "instructions.jsonl")}
    return {
        (path.stem, row["id"]): (
            instructions[row["id"]],
            DetectionItem(
                id=str(row["id"]),
                instruction=instructions[row["id"]]["instruction"],
                response=row["output"],
                language="en",
            ),
        )
        for path in sorted((shared_data / "just-eval" / "outputs").glob("*.jsonl"))
        for row in rows(path)
    }


def found(responses, detect) -> set[tuple[str, int]]:
    return {key for key, (_, item) in responses.items() if detect(item).finding == Finding.FOUND}


def test_loops(responses) -> None:
    assert found(responses, loop.detect) == LOOPS


def test_code_fires_rarely_and_nearly_only_on_coding_tasks(responses) -> None:
    hits = found(responses, code.detect)
    elsewhere = [key for key in hits if "coding" not in (responses[key][0]["task"] or [])]
    assert len(hits) < 0.01 * len(responses)
    assert len(elsewhere) <= 5


def test_leakage_fires_hardly_ever(responses) -> None:
    assert found(responses, leakage.detect) == {("zephyr-7b-beta", 216)}


def test_wrong_language_fires_hardly_ever_on_english(responses, identifier) -> None:
    sample = {key: value for key, value in responses.items() if key[1] % 5 == 2}
    sample |= {
        key: value for key, value in responses.items() if key in {("vicuna-7b-v1.5", 242), ("tulu-2-dpo-7b", 61)}
    }
    hits = found(sample, lambda item: language.detect(item, identifier))
    assert {("vicuna-7b-v1.5", 242), ("tulu-2-dpo-7b", 61)} <= hits
    assert len(hits) <= 4


@pytest.mark.parametrize(
    ("system", "expected", "low", "high"),
    [
        ("gpt-4-turbo", "fr", 0.0, 0.02),
        ("command-r", "es", 0.0, 0.05),
        ("llama-2-instruct", "fr", 0.05, 0.2),
        ("command-r-base", "es", 0.03, 0.2),
    ],
)
def test_language_confusion(shared_data, identifier, system, expected, low, high) -> None:
    counts: dict[Finding, int] = defaultdict(int)
    for row in rows(shared_data / "language-confusion" / "outputs" / f"{system}.jsonl"):
        if (row["task"], row["language"]) == ("monolingual", expected):
            item = DetectionItem(id="1", instruction="", response=row["completion"], language=expected)
            counts[language.detect(item, identifier).finding] += 1
    assert low <= counts[Finding.FOUND] / (counts[Finding.FOUND] + counts[Finding.ABSENT]) <= high
