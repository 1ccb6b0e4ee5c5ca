"""The real judge service in front of a recorded judge: real processes, real HTTP."""

import json
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import httpx
import pytest

from .conftest import SAFE, Start, set_mode

pytestmark = pytest.mark.usefixtures("well_behaved")


def post(url: str, path: str, rubric: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    response = httpx.post(f"{url}/v1/{path}", json={"rubric": rubric, "items": items}, timeout=60)
    response.raise_for_status()
    return response.json()


def items(count: int) -> list[dict[str, Any]]:
    return [
        {"id": f"item {n}", "instruction": f"Question {n}?", "response": f"Answer {n}.", "language": "en"}
        for n in range(count)
    ]


def causes(answer: dict[str, Any]) -> set[str | None]:
    found = [score["unscored"] for judgment in answer["judgments"] for score in judgment["scores"]]
    return {None if unscored is None else unscored["cause"] for unscored in found}


@pytest.mark.parametrize(
    ("file", "rubric"),
    [
        ("gpt-3.5-turbo-0301.multi.gpt-4-1106-preview.0-400.jsonl", "just-eval-multi"),
        ("vicuna-7b-v1.5.safety.gpt-3.5-turbo-0613.jsonl", "just-eval-safety"),
    ],
)
def test_recorded_judgments_give_the_recorded_means(
    start_judge: Start, start_backend: Start, recorded: Path, file: str, rubric: str
) -> None:
    rows = [json.loads(line) for line in (recorded / file).read_text(encoding="utf-8").splitlines()]
    url = start_judge(start_backend("--recorded", str(recorded / file)))
    replies = defaultdict(set)  # two items are the same, and were judged in different words
    for row in rows:
        replies[row["instruction"], row["output"]].add(row["raw"])
    ours, theirs = defaultdict(list), defaultdict(list)
    for start in range(0, len(rows), 64):
        batch = rows[start : start + 64]
        answer = post(url, "judgments", rubric, [as_item(row) for row in batch])
        assert [judgment["id"] for judgment in answer["judgments"]] == [str(row["id"]) for row in batch]
        for judgment, row in zip(answer["judgments"], batch, strict=True):
            assert judgment["raw_reply"] in replies[row["instruction"], row["output"]]
            for score in judgment["scores"]:
                ours[score["aspect"]].append(score["score"])
    for row in rows:
        for aspect, verdict in row["parsed"].items():
            theirs[aspect].append(None if verdict["score"] == "N/A" else float(verdict["score"]))
    assert ours == theirs
    for aspect, scores in ours.items():
        given = [score for score in scores if score is not None]
        print(f"{aspect}: mean {fmean(given):.4f}, n {len(given)} of {len(scores)}")


def away(url: str, count: int = 2) -> bool:
    """Whether the judge says that its backend is away, and when to ask again; nothing is scored or unscored then."""
    request = {"rubric": "just-eval-safety", "items": items(count)}
    answer = httpx.post(f"{url}/v1/judgments", json=request, timeout=60)
    assert answer.headers["retry-after"] == "5"
    return (answer.status_code, answer.json()["type"]) == (503, "urn:plumbline:problem:backend-unavailable")


def as_item(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": str(row["id"]), "instruction": row["instruction"], "response": row["output"], "language": "en"}


@pytest.mark.parametrize(
    ("mode", "cause"),
    [
        ("ok", None),
        ("busy_once", None),
        ("garbled", "backend_unavailable"),
        ("truncated", "truncated_reply"),
        ("refusing", "backend_refused"),
        ("offended", "backend_refused"),
    ],
)
def test_whatever_the_backend_does_every_item_has_a_score_or_its_cause(
    judge: str, backend: str, mode: str, cause: str | None
) -> None:
    set_mode(backend, mode)
    answer = post(judge, "judgments", "just-eval-safety", items(3))
    assert [judgment["id"] for judgment in answer["judgments"]] == ["item 0", "item 1", "item 2"]
    assert causes(answer) == {cause}


def test_a_wrong_key_is_no_fault_of_the_items(judge: str, backend: str) -> None:
    set_mode(backend, "denied")
    request = {"rubric": "just-eval-safety", "items": items(64)}
    answer = httpx.post(f"{judge}/v1/judgments", json=request, timeout=60)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:plumbline:problem:backend-refused")
    assert "JUDGE_API_KEY" in answer.json()["detail"]
    assert "no such key" in answer.json()["detail"]
    assert httpx.get(f"{backend}/calls").json()["all"] == 8  # eight at a time, none of them tried again


def test_a_slow_backend_is_given_up(start_judge: Start, backend: str) -> None:
    set_mode(backend, "slow")
    url = start_judge(backend, JUDGE_TIMEOUT_SECONDS="0.5", JUDGE_RETRIES="0")
    assert causes(post(url, "judgments", "just-eval-safety", items(2))) == {"backend_unavailable"}


def test_without_a_backend_the_request_is_to_be_repeated_and_the_service_is_not_ready(
    start_judge: Start, start_backend: Start
) -> None:
    url = start_judge(start_backend("--mode", "closed"))
    assert away(url)
    ready = httpx.get(f"{url}/readyz")
    assert (ready.status_code, ready.json()["type"]) == (503, "urn:plumbline:problem:backend-unavailable")
    assert httpx.get(f"{url}/livez").status_code == 200


def test_an_outage_is_waited_for_once_in_a_batch(judge: str, backend: str) -> None:
    set_mode(backend, "broken")
    assert away(judge, 64)
    assert httpx.get(f"{backend}/calls").json()["all"] == 16  # eight at a time, each tried twice


@pytest.mark.parametrize(
    ("structured", "cause", "calls"),
    [("auto", None, {"all": 5, "with_schema": 2}), ("off", None, {"all": 3, "with_schema": 0})],
)
def test_a_server_that_refuses_schemas_is_not_asked_for_them_again(
    start_judge: Start, backend: str, structured: str, cause: str | None, calls: dict[str, int]
) -> None:
    set_mode(backend, "no_schema")
    url = start_judge(backend, JUDGE_STRUCTURED=structured, JUDGE_CONCURRENCY="1")
    assert causes(post(url, "judgments", "just-eval-safety", items(3))) == {cause}
    assert httpx.get(f"{backend}/calls").json().items() >= calls.items()


def test_a_schema_that_is_insisted_on_is_never_left_out(start_judge: Start, backend: str) -> None:
    set_mode(backend, "no_schema")
    url = start_judge(backend, JUDGE_STRUCTURED="json_schema")
    assert causes(post(url, "judgments", "just-eval-safety", items(3))) == {"backend_refused"}


def test_an_unusable_reply_is_kept(judge: str) -> None:
    answer = post(judge, "judgments", "just-eval-multi", items(1))
    assert causes(answer) == {"unparsable_reply"}
    assert answer["judgments"][0]["raw_reply"] == SAFE


@pytest.mark.parametrize(
    ("response_a", "response_b", "verdict"),
    [
        ("this is better", "this", "a"),
        ("this", "this is better", "b"),
        ("this", "this", "tie"),
        ("this", "that", "inconsistent"),
    ],
)
def test_a_comparison_is_asked_in_both_orders(judge: str, response_a: str, response_b: str, verdict: str) -> None:
    pair = {"id": "7", "instruction": "?", "response_a": response_a, "response_b": response_b, "language": "en"}
    (comparison,) = post(judge, "comparisons", "just-eval-multi", [pair])["comparisons"]
    assert (comparison["verdict"], comparison["unscored"]) == (verdict, None)


def test_what_the_order_did_is_counted(judge: str) -> None:
    pairs = [("this is better", "this"), ("this", "this is better"), ("this", "this"), ("this", "that"), ("one", "two")]
    asked = [
        {"id": str(id), "instruction": "?", "response_a": a, "response_b": b, "language": "en"}
        for id, (a, b) in enumerate(pairs)
    ]
    effect = post(judge, "comparisons", "just-eval-multi", asked)["order_effect"]
    assert effect == {"both": 5, "flips": 2, "first": 2, "second": 0}


def test_a_comparison_without_a_usable_reply_is_no_tie(judge: str, backend: str) -> None:
    set_mode(backend, "truncated")
    pair = {"id": "7", "instruction": "?", "response_a": "a", "response_b": "b", "language": "en"}
    (comparison,) = post(judge, "comparisons", "just-eval-multi", [pair])["comparisons"]
    assert (comparison["verdict"], comparison["unscored"]["cause"]) == ("unscored", "truncated_reply")


def test_info_names_the_model_and_never_the_key(start_judge: Start, backend: str) -> None:
    info = httpx.get(f"{start_judge(backend, JUDGE_API_KEY='sk-secret')}/info")
    assert (info.json()["implementation"], info.json()["model"]) == ("openai", "recorded")
    assert "sk-secret" not in info.text
