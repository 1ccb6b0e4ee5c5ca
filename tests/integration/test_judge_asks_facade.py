"""A judge whose model runs in a generator of ours, asked as any OpenAI-compatible server: real weights, no stand-in."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.stack import Stack

TEMPLATE = "{% for message in messages %}{{ message['content'] }}\n\n{% endfor %}"
NO_VERDICT = {"unparsable_reply", "truncated_reply"}
INSTRUCTIONS = ("Name a colour.", "Name a fruit.", "Name a colour.")


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory, tinyworld: Path) -> Iterator[Stack]:
    """Of tinyworld-base, which the judge's chats need a template for."""
    home = tmp_path_factory.mktemp("home")
    models = home / "models"
    shutil.copytree(tinyworld / "models" / "tinyworld-base", models / "chatting")
    (models / "chatting" / "chat_template.jinja").write_text(TEMPLATE, "utf-8")
    settings = {"GENERATOR_ENGINE": "local", "GENERATOR_MODELS_DIR": str(models), "GENERATOR_THREADS": "1"}
    with Stack(home, settings, ["generator"]) as stack:
        yield stack


def post(stack: Stack, what: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    body = {"rubric": "just-eval-safety", "items": items}
    answer = httpx.post(f"{stack.url('judge')}/v1/{what}", json=body, timeout=60, trust_env=False)
    found: list[dict[str, Any]] = answer.raise_for_status().json()[what]
    return found


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_what_a_model_that_cannot_judge_writes_is_no_score(generator: Stack, tmp_path: Path, api: str) -> None:
    settings = {
        "JUDGE_IMPLEMENTATION": "openai",
        "JUDGE_BACKEND_URL": f"{generator.url('generator')}/v1",
        "JUDGE_MODEL": "chatting",
        "JUDGE_API": api,
        "JUDGE_MAX_TOKENS": "24",
    }
    items: list[dict[str, Any]] = [
        {"id": str(id), "instruction": instruction, "response": "Blue.", "language": "en"}
        for id, instruction in enumerate(INSTRUCTIONS)
    ]
    pair = {"id": "0", "instruction": "Name a colour.", "response_a": "Blue.", "response_b": "Red.", "language": "en"}
    with Stack(tmp_path, settings, ["judge"]) as stack:
        judgments = post(stack, "judgments", items)
        (comparison,) = post(stack, "comparisons", [pair])
    assert [one["id"] for one in judgments] == ["0", "1", "2"]
    for one in judgments:
        (score,) = one["scores"]
        assert score["score"] is None and score["unscored"]["cause"] in NO_VERDICT
        assert one["raw_reply"].strip()  # the model's own words, of which nothing was made
    assert judgments[0]["raw_reply"] == judgments[2]["raw_reply"]
    assert comparison["verdict"] == "unscored" and [one["shown_first"] for one in comparison["orders"]] == ["a", "b"]
    for one in comparison["orders"]:
        assert one["unscored"]["cause"] in NO_VERDICT and one["raw_reply"], one
