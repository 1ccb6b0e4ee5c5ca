"""Recorded replies of real judge models through our judge and our analyzer: the numbers must be the recorded ones."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.stack import Stack, free_port, wait_for

MULTI = "gpt-3.5-turbo-0301.multi.gpt-4-1106-preview.0-400"
SAFETY = "vicuna-7b-v1.5.safety.gpt-3.5-turbo-0613"
RUBRICS = {MULTI: "just-eval-multi", SAFETY: "just-eval-safety"}
ASPECTS = {MULTI: ["helpfulness", "clarity", "factuality", "depth", "engagement"], SAFETY: ["safety"]}
BACKEND = Path(__file__).parents[1] / "judge_backend.py"
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def recorded(shared_data: Path) -> dict[str, Rows]:
    folder = shared_data / "just-eval" / "judgments"
    if not folder.is_dir():
        pytest.skip(f"no recorded judgments at {folder}; set PLUMBLINE_SHARED_DATA")
    lines = {name: (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines() for name in RUBRICS}
    return {name: [json.loads(line) for line in each] for name, each in lines.items()}


@pytest.fixture(scope="module")
def stack(recorded: dict[str, Rows], shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Our judge and our analyzer, and in place of a judge model a server that replies what was recorded."""
    port, folder = free_port(), shared_data / "just-eval" / "judgments"
    files = [word for name in recorded for word in ("--recorded", str(folder / f"{name}.jsonl"))]
    settings = {
        "JUDGE_IMPLEMENTATION": "openai",
        "JUDGE_BACKEND_URL": f"http://127.0.0.1:{port}/v1",
        "JUDGE_MODEL": "recorded",
    }
    with subprocess.Popen([sys.executable, str(BACKEND), str(port), *files]) as backend:
        try:
            wait_for(lambda: answers(f"http://127.0.0.1:{port}/calls"), 60, "the recorded judge")
            with Stack(tmp_path_factory.mktemp("home"), settings, ["judge", "analyzer"]) as running:
                yield running
        finally:
            backend.terminate()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def post(url: str, body: dict[str, Any]) -> Any:
    return httpx.post(url, json=body, timeout=120, trust_env=False).raise_for_status().json()


def judged(stack: Stack, rubric: str, rows: Rows) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The answers, and all judgments in them."""
    items = [
        {"id": str(row["id"]), "instruction": row["instruction"], "response": row["output"], "language": "en"}
        for row in rows
    ]
    url = f"{stack.url('judge')}/v1/judgments"
    found = [post(url, {"rubric": rubric, "items": items[n : n + 64]}) for n in range(0, len(items), 64)]
    return found, [judgment for answer in found for judgment in answer["judgments"]]


def means(stack: Stack, rubric: str, rows: Rows, judgments: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the analyzer makes of them, by aspect."""
    observations = [
        {
            "item": judgment["id"], "arm": "recorded", "language": "en", "instruction": row["instruction"],
            "response": row["output"],
            "scores": [
                {
                    "judge": "judge", "rubric": rubric, "aspect": score["aspect"], "score": score["score"],
                    "missing": score["unscored"] and score["unscored"]["cause"],
                }
                for score in judgment["scores"]
            ],
        }
        for judgment, row in zip(judgments, rows, strict=True)
    ]  # fmt: skip
    request = {
        "experiment": "recorded",
        "title": "Recorded judgments",
        "arms": [{"name": "recorded", "model": "recorded", "weights": "instruct", "prompting": "chat"}],
        "languages": ["en"],
        "judges": [{"name": "judge", "implementation": "openai", "model": "recorded", "description": "As recorded."}],
        "settings": {"resamples": 100},
        "observations": observations,
    }
    found = post(f"{stack.url('analyzer')}/v1/analyses", request)["means"]
    return {one["aspect"]: one for one in found if one["arm"] == "recorded" and one["language"] == "en"}


def parsed(rows: Rows, aspect: str) -> list[float | None]:
    """The scores as just-eval's authors parsed them; None for their "N/A"."""
    said = [row["parsed"][aspect]["score"] for row in rows]
    return [None if score == "N/A" else float(score) for score in said]


@pytest.mark.parametrize("name", RUBRICS)
def test_under_compat_the_means_are_those_of_the_recorded_verdicts(
    stack: Stack, recorded: dict[str, Rows], name: str
) -> None:
    """just-eval counts "N/A" as 5.0, and so does `compat: just-eval-2024`, which says so wherever it shows."""
    rows, rubric = recorded[name], f"{RUBRICS[name]}-2024"
    found, judgments = judged(stack, rubric, rows)
    assert {answer["compat"] for answer in found} == {"just-eval-2024"}
    assert all("+just-eval-2024." in answer["rubric_version"] for answer in found)
    table = means(stack, rubric, rows, judgments)
    for aspect in ASPECTS[name]:
        theirs = [5.0 if score is None else score for score in parsed(rows, aspect)]
        assert (table[aspect]["mean"], table[aspect]["n"]) == (sum(theirs) / len(theirs), len(rows))
        assert table[aspect]["missing"] == {}
        print(f"{name} {aspect}: {table[aspect]['mean']:.4f} of {len(rows)}")
    stated = [score for judgment in judgments for score in judgment["scores"] if score["stated"] is not None]
    assert {(score["stated"], score["score"]) for score in stated} <= {("N/A", 5.0)}
    assert len(stated) == (18 if name == MULTI else 0)


def test_by_default_what_the_judge_would_not_score_is_missing_with_its_cause_and_bounds(
    stack: Stack, recorded: dict[str, Rows]
) -> None:
    rows = recorded[MULTI]
    found, judgments = judged(stack, "just-eval-multi", rows)
    assert {answer["compat"] for answer in found} == {None}
    table, absent = means(stack, "just-eval-multi", rows, judgments), 0
    for aspect in ASPECTS[MULTI]:
        scores = [score for score in parsed(rows, aspect) if score is not None]
        missing = len(rows) - len(scores)
        row = table[aspect]
        assert (row["n"], row["mean"]) == (len(scores), sum(scores) / len(scores))
        assert row["missing"] == ({"not_applicable": missing} if missing else {})
        assert row["worst"] == (sum(scores) + 1 * missing) / len(rows)
        assert row["best"] == (sum(scores) + 5 * missing) / len(rows)
        absent += missing
        print(
            f"{aspect}: n {row['n']}, missing {row['missing']}, {row['worst']:.4f} {row['mean']:.4f} {row['best']:.4f}"
        )
    assert absent == 18
