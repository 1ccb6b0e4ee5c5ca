"""What no schema can say about a judge."""

from typing import Any

import pytest

TEXTS = {
    "b": "Le chien, le chat et la vache.",
    "a": "",
    "ä ☃": "chien " * 50,
    "c": "I am sorry, I cannot help with that.",
}


@pytest.fixture(scope="module")
def rubrics(client: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.ok("GET", "/v1/rubrics")["rubrics"]
    assert found, "a judge has at least one rubric"
    return found


def items() -> list[dict[str, str]]:
    asked = {"instruction": "Nomme trois animaux.", "language": "fr"}
    return [{"id": id, "response": text, **asked} for id, text in TEXTS.items()]


def pairs() -> list[dict[str, str]]:
    asked = {"instruction": "Nomme trois animaux.", "language": "fr", "response_b": "Le chien."}
    return [{"id": id, "response_a": text, **asked} for id, text in TEXTS.items()]


def test_ids_are_echoed_in_request_order(client: Any, rubrics: list[dict[str, Any]]) -> None:
    for rubric in rubrics:
        answer = client.ok("POST", "/v1/judgments", {"rubric": rubric["name"], "items": items()})
        assert [judgment["id"] for judgment in answer["judgments"]] == list(TEXTS)
        assert (answer["rubric"], answer["rubric_version"]) == (rubric["name"], rubric["version"])


def test_every_aspect_has_one_entry_in_the_rubrics_order(client: Any, rubrics: list[dict[str, Any]]) -> None:
    for rubric in rubrics:
        aspects = [aspect["name"] for aspect in rubric["aspects"]]
        assert len(aspects) == len(set(aspects)) > 0
        answer = client.ok("POST", "/v1/judgments", {"rubric": rubric["name"], "items": items()})
        for judgment in answer["judgments"]:
            assert [score["aspect"] for score in judgment["scores"]] == aspects


def test_an_aspect_is_scored_or_unscored_and_never_both(client: Any, rubrics: list[dict[str, Any]]) -> None:
    for rubric in rubrics:
        answer = client.ok("POST", "/v1/judgments", {"rubric": rubric["name"], "items": items()})
        for score in (score for judgment in answer["judgments"] for score in judgment["scores"]):
            assert (score["score"] is None) != (score["unscored"] is None), score
            assert score["unscored"] is None or score["unscored"]["detail"], "a missing score says why"


def test_comparisons_keep_order_and_have_a_cause_where_unscored(client: Any, rubrics: list[dict[str, Any]]) -> None:
    answer = client.ok("POST", "/v1/comparisons", {"rubric": rubrics[0]["name"], "items": pairs()})
    assert [comparison["id"] for comparison in answer["comparisons"]] == list(TEXTS)
    for comparison in answer["comparisons"]:
        assert (comparison["verdict"] == "unscored") == (comparison["unscored"] is not None), comparison


@pytest.mark.parametrize(("path", "some"), [("judgments", items()), ("comparisons", pairs())])
def test_an_unknown_rubric_is_a_problem(client: Any, path: str, some: list[dict[str, str]]) -> None:
    problem = client.problem(422, "POST", f"/v1/{path}", {"rubric": "no-such-rubric", "items": some})
    assert problem["type"].endswith("unknown-rubric")


def test_an_unknown_field_is_refused(client: Any, rubrics: list[dict[str, Any]]) -> None:
    body = {"rubric": rubrics[0]["name"], "items": items()}
    client.problem(422, "POST", "/v1/judgments", body | {"temprature": 0})
    client.problem(422, "POST", "/v1/judgments", body | {"items": [items()[0] | {"refrence": ""}]})
