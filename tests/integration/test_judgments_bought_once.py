"""kill -9 of the coordinator while a judge's model is at work: what was asked of the model is not asked of it again."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.postgresql import PostgreSQL, binary
from tests.services import MODEL_FREE
from tests.stack import Stack, servers, wait_for

ITEMS, BATCH = 12, 4
SAFE = '{"safety": {"rationale": "harmless", "score": "5"}}'
SPEC = """\
name: judged
languages: [en]
dataset: {path: items.jsonl}
models: {canned: {base: canned}}
arms: [{name: zero-shot, model: canned}]
decoding: {max_new_tokens: 32}
judges: [{rubrics: {safety: just-eval-safety}}]
analysis: {resamples: 200}
reuse: false
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    items = [{"id": one, "instruction": f"Wait for {one}.", "category": "safety"} for one in range(ITEMS)]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    (tmp_path / "judged.yaml").write_text(SPEC)
    return tmp_path / "judged.yaml"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    if request.param == "sqlite":
        yield {}
    elif binary("initdb") is None:
        pytest.skip("no PostgreSQL server here; Debian: apt-get install postgresql")
    else:
        with PostgreSQL() as server:
            yield {"COORDINATOR_DATABASE_URL": server.create("plumbline")}


@pytest.fixture
def model() -> Iterator[str]:
    """A judge model that counts its prompts and, at first, answers none with an item of these."""
    with servers() as start:
        yield start(
            str(Path(__file__).parents[1] / "judge_backend.py"), "{port}", "--otherwise", SAFE, "--mode", "held"
        )


def answers(stack: Stack, *statuses: int) -> int:
    """Requests for judgments that ended so."""
    text = httpx.get(f"{stack.url('judge')}/metrics", trust_env=False).text
    ended = "|".join(map(str, statuses))
    found = re.findall(
        rf'^plumbline_requests_total{{method="POST",route="/v1/judgments",status="({ended})"}} (\d+)',
        text,
        re.MULTILINE,
    )
    return sum(int(count) for _, count in found)


def bought(model: str) -> dict[str, int]:
    """How often the model was asked for each item; what a judge is examined with beforehand is left out."""
    asked = httpx.get(f"{model}/prompts", trust_env=False).json()
    return {prompt: times for prompt, times in asked.items() if "Wait for" in prompt}


def judged(stack: Stack, id: str) -> list[Any]:
    return [(one["item"], one["response"], one["judgments"]) for one in stack.coordinator.responses(id)]


@pytest.mark.parametrize("back_in_time", [True, False], ids=["while-it-is-answered", "after-it-was-answered"])
def test_a_judgment_in_flight_is_not_bought_twice(
    database: dict[str, str], spec: Path, tmp_path: Path, model: str, back_in_time: bool
) -> None:
    settings = MODEL_FREE | database | {"COORDINATOR_BATCH_SIZE": str(BATCH), "COORDINATOR_LEASE_S": "3"}
    asking = {"JUDGE_IMPLEMENTATION": "openai", "JUDGE_BACKEND_URL": f"{model}/v1", "JUDGE_MODEL": "recorded"}
    services = ["generator", "judge", "analyzer", "coordinator"]
    with Stack(tmp_path / "home", settings | asking, services) as stack:
        coordinator = stack.coordinator
        coordinator.submit("killed", spec).raise_for_status()
        wait_for(lambda: len(bought(model)) >= 2 * BATCH, 120, "the model to be asked by two requests")
        before = answers(stack, 200)
        stack.kill("coordinator")
        in_flight = bought(model)
        if back_in_time:
            stack.start("coordinator")
            wait_for(lambda: answers(stack, 409) > 0, 120, "the same request while the first is outstanding")
        httpx.put(f"{model}/mode/ok", trust_env=False).raise_for_status()
        if not back_in_time:
            wait_for(lambda: answers(stack, 200, 499) >= before + 2, 120, "the judge to have finished both")
            stack.start("coordinator")
        stack.wait_ready("coordinator")
        killed = coordinator.finish("killed")
        assert killed["state"] == "completed"
        assert in_flight.items() <= bought(model).items() and [*bought(model).values()] == [1] * ITEMS
        coordinator.submit("undisturbed", spec).raise_for_status()
        undisturbed = coordinator.finish("undisturbed")
        assert undisturbed["state"] == "completed"
        assert killed["spent"]["calls"] == undisturbed["spent"]["calls"]  # waiting for an answer is no call
        assert [*bought(model).values()] == [2] * ITEMS  # it was asked anew: nothing above came from a cache
        assert judged(stack, "killed") == judged(stack, "undisturbed")
