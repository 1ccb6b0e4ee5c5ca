"""How a judge model is asked: repairs, confidence, plain completions, what is asked once. Real processes, real HTTP."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import SAFE, Start, set_mode

pytestmark = pytest.mark.usefixtures("well_behaved")

POLITE = {
    "name": "politeness",
    "version": "1",
    "aspects": [{"name": "politeness", "asks": "Is it polite?", "scale": {"1": "No.", "5": "Yes."}}],
}


def calls(backend: str) -> dict[str, int]:
    return dict(httpx.get(f"{backend}/calls").json())


def ask(url: str, responses: list[str], rubric: Any = "just-eval-safety", **more: Any) -> dict[str, Any]:
    items = [
        {"id": f"item {n}", "instruction": "Why?", "response": response, "language": "fr"}
        for n, response in enumerate(responses)
    ]
    body = {"rubric": rubric, "items": items, **more}
    return dict(httpx.post(f"{url}/v1/judgments", json=body, timeout=60).raise_for_status().json())


def test_a_model_that_is_shown_its_error_may_mend_it(judge: str, backend: str) -> None:
    set_mode(backend, "mended")
    (judgment,) = ask(judge, ["So."])["judgments"]
    assert judgment["scores"][0]["score"] == 5
    assert judgment["raw_reply"] == SAFE
    assert '"score": "9"' in judgment["repair"]["raw_reply"]
    assert "The score is not from 1 to 5." in judgment["repair"]["error"]
    assert calls(backend)["repairs"] == 1


def test_what_one_repair_does_not_mend_is_unscored_with_both_replies(judge: str, backend: str) -> None:
    set_mode(backend, "stubborn")
    (judgment,) = ask(judge, ["So."])["judgments"]
    assert (judgment["scores"][0]["score"], judgment["scores"][0]["unscored"]["cause"]) == (None, "unparsable_reply")
    assert judgment["repair"]["raw_reply"] == judgment["raw_reply"] == "I would rather not say."
    assert calls(backend) == {"all": 2, "with_schema": 2, "with_logprobs": 2, "repairs": 1}


def test_repairs_can_be_switched_off(start_judge: Start, backend: str) -> None:
    set_mode(backend, "stubborn")
    (judgment,) = ask(start_judge(backend, JUDGE_REPAIR="false"), ["So."])["judgments"]
    assert judgment["repair"] is None
    assert calls(backend)["all"] == 1


def test_an_order_that_needed_a_repair_says_so(judge: str, backend: str) -> None:
    set_mode(backend, "stubborn")
    pair = {"id": "7", "instruction": "?", "response_a": "a", "response_b": "b", "language": "en"}
    body = {"rubric": "just-eval-multi", "items": [pair]}
    answer = httpx.post(f"{judge}/v1/comparisons", json=body, timeout=60).raise_for_status().json()
    assert [order["repair"]["raw_reply"] for order in answer["comparisons"][0]["orders"]] == [
        "I would rather not say."
    ] * 2
    assert answer["order_effect"] == {"both": 0, "flips": 0, "first": 0, "second": 0}


def test_confidence_is_that_of_the_score_token(judge: str) -> None:
    (judgment,) = ask(judge, ["So."])["judgments"]
    confidence = judgment["scores"][0]["confidence"]
    assert confidence["expected"] == pytest.approx(4.75)
    assert confidence["probabilities"] == pytest.approx([0, 0, 0, 0.25, 0.75])
    assert confidence["mass"] == pytest.approx(1)


def test_without_token_probabilities_there_is_no_confidence(start_judge: Start, backend: str) -> None:
    (judgment,) = ask(start_judge(backend, JUDGE_TOP_LOGPROBS="0"), ["So."])["judgments"]
    assert judgment["scores"][0]["confidence"] is None
    assert calls(backend)["with_logprobs"] == 0


@pytest.mark.parametrize(("mode", "expected", "asked"), [("ok", 5.0, 1), ("plain", None, 7)])
def test_a_server_without_chat_is_asked_for_completions(
    start_judge: Start, backend: str, mode: str, expected: float | None, asked: int
) -> None:
    set_mode(backend, mode)
    url = start_judge(backend, JUDGE_API="completions", JUDGE_STRUCTURED="auto")
    (judgment,) = ask(url, ["So."])["judgments"]
    (score,) = judgment["scores"]
    assert score["score"] == 5
    assert (score["confidence"] and score["confidence"]["expected"]) == expected
    assert calls(backend)["all"] <= asked


def test_the_same_item_is_asked_once_in_a_request_and_across_requests(judge: str, backend: str) -> None:
    answer = ask(judge, ["So."] * 64)
    assert [one["id"] for one in answer["judgments"]] == [f"item {n}" for n in range(64)]
    assert calls(backend)["all"] == 1
    with ThreadPoolExecutor(4) as threads:  # one after another or at once: never more often than requests
        list(threads.map(lambda _: ask(judge, ["Other."] * 8), range(4)))
    assert 2 <= calls(backend)["all"] <= 5


def test_replies_that_are_drawn_are_drawn_for_each_item(start_judge: Start, backend: str) -> None:
    ask(start_judge(backend, JUDGE_TEMPERATURE="0.7"), ["So."] * 5)
    assert calls(backend)["all"] == 5


def test_a_rubric_in_words_and_one_in_a_folder(start_judge: Start, start_backend: Start, tmp_path: Path) -> None:
    reply = '{"politeness": {"rationale": "It says please.", "score": 4}}'
    (tmp_path / "mine.yaml").write_text(str(POLITE | {"name": "mine"}))
    url = start_judge(start_backend("--otherwise", reply), JUDGE_RUBRICS_DIR=str(tmp_path))
    inline, named = ask(url, ["Please."], POLITE), ask(url, ["Please."], "mine")
    assert [one["judgments"][0]["scores"][0]["score"] for one in (inline, named)] == [4, 4]
    assert (inline["rubric"], named["rubric"]) == ("politeness", "mine")
    listed = httpx.get(f"{url}/v1/rubrics").json()["rubrics"]
    assert [one["version"] for one in listed if one["name"] == "mine"] == [named["rubric_version"]]


def test_a_rubric_that_has_no_text_in_a_language_is_a_problem(judge: str) -> None:
    items = [{"id": "7", "instruction": "?", "response": "!", "language": "eu"}]
    body = {"rubric": "just-eval-safety", "rubric_language": "response", "items": items}
    problem = httpx.post(f"{judge}/v1/judgments", json=body)
    assert problem.status_code == 422
    assert problem.json()["type"] == "urn:plumbline:problem:rubric-language"
    assert "no text in eu; it has en, fr, es" in problem.json()["detail"]
