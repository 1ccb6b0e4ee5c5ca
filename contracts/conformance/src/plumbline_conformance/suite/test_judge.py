"""What no schema can say about a judge."""

from collections.abc import Iterator
from typing import Any

import pytest

TEXTS = {
    "b": "Le chien, le chat et la vache.",
    "a": "",
    "ä ☃": "chien " * 50,
    "c": "I am sorry, I cannot help with that.",
}
CAUSES = {
    "backend_unavailable",
    "backend_refused",
    "empty_reply",
    "truncated_reply",
    "unparsable_reply",
    "missing_aspect",
    "out_of_range",
    "not_applicable",
}
VERDICTS = {"a", "b", "tie", "inconsistent", "unscored"}


class Judged:
    """The answers that most checks look at, asked for once: a judge may have a model that costs money."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.known: dict[str, Any] = {}

    @property
    def rubrics(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.ok("GET", "/v1/rubrics")["rubrics"]
        return found

    def answers(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Every rubric, and what was judged on it."""
        for rubric in self.rubrics:
            name = rubric["name"]
            if name not in self.known:
                self.known[name] = self.client.ok("POST", "/v1/judgments", {"rubric": name, "items": items()})
            yield rubric, self.known[name]

    def scores(self) -> Iterator[dict[str, Any]]:
        for _, answer in self.answers():
            yield from (score for judgment in answer["judgments"] for score in judgment["scores"])

    def comparisons(self) -> list[dict[str, Any]]:
        if "compared" not in self.known:
            body = {"rubric": self.rubrics[0]["name"], "items": pairs()}
            self.known["compared"] = self.client.ok("POST", "/v1/comparisons", body)["comparisons"]
        compared: list[dict[str, Any]] = self.known["compared"]
        return compared


@pytest.fixture(scope="module")
def judged(client: Any) -> Judged:
    return Judged(client)


def items() -> list[dict[str, str]]:
    asked = {"instruction": "Nomme trois animaux.", "language": "fr"}
    return [{"id": id, "response": text, **asked} for id, text in TEXTS.items()]


def pairs() -> list[dict[str, str]]:
    asked = {"instruction": "Nomme trois animaux.", "language": "fr", "response_b": "Le chien."}
    return [{"id": id, "response_a": text, **asked} for id, text in TEXTS.items()]


def test_every_rubric_is_listed_once_with_its_aspects(judged: Judged) -> None:
    """There is at least one rubric; each has a version and aspects of different names that say what 1 and 5 mean."""
    rubrics = judged.rubrics
    names = [rubric["name"] for rubric in rubrics]
    assert len(names) == len(set(names)) > 0, names
    for rubric in rubrics:
        aspects = [aspect["name"] for aspect in rubric["aspects"]]
        assert len(aspects) == len(set(aspects)) > 0, aspects
        assert rubric["version"].strip() and all(aspect["description"].strip() for aspect in rubric["aspects"])


def test_ids_are_echoed_in_request_order(judged: Judged) -> None:
    """One judgment per item, under its id, in the order of the request."""
    for _, answer in judged.answers():
        assert [judgment["id"] for judgment in answer["judgments"]] == list(TEXTS)


def test_an_answer_names_the_rubric_and_its_version(judged: Judged) -> None:
    """An answer names the rubric asked for, in the version that `/v1/rubrics` lists."""
    for rubric, answer in judged.answers():
        assert (answer["rubric"], answer["rubric_version"]) == (rubric["name"], rubric["version"])


def test_every_aspect_has_one_entry_in_the_rubrics_order(judged: Judged) -> None:
    """An aspect without a score is listed too: what is left out cannot be counted as missing."""
    for rubric, answer in judged.answers():
        aspects = [aspect["name"] for aspect in rubric["aspects"]]
        for judgment in answer["judgments"]:
            assert [score["aspect"] for score in judgment["scores"]] == aspects


def test_an_aspect_is_scored_or_unscored_and_never_both(judged: Judged) -> None:
    """What could not be judged has a cause and no number beside it, which somebody would average."""
    for score in judged.scores():
        assert (score["score"] is None) != (score["unscored"] is None), score


def test_a_score_is_from_1_to_5_and_has_a_reason(judged: Judged) -> None:
    """A number without a reason is a default, and a default is a guess."""
    for score in judged.scores():
        if score["score"] is not None:
            assert 1 <= score["score"] <= 5, score
            assert (score["rationale"] or "").strip(), f"a score without a reason: {score}"


def test_what_is_unscored_says_why(judged: Judged) -> None:
    """A missing score has a cause of the contract and a detail for people."""
    for score in judged.scores():
        if score["unscored"] is not None:
            assert score["unscored"]["cause"] in CAUSES, score
            assert score["unscored"]["detail"].strip(), score


def test_comparisons_keep_ids_and_order(judged: Judged) -> None:
    """One comparison per pair, under its id, in the order of the request."""
    assert [comparison["id"] for comparison in judged.comparisons()] == list(TEXTS)


def test_a_verdict_is_a_word_of_the_contract(judged: Judged) -> None:
    """`unscored` has its cause and every other verdict none; what flips with the order is `inconsistent`, not a tie."""
    for comparison in judged.comparisons():
        assert comparison["verdict"] in VERDICTS, comparison
        assert (comparison["verdict"] == "unscored") == (comparison["unscored"] is not None), comparison


@pytest.mark.parametrize(("path", "some"), [("judgments", items()), ("comparisons", pairs())], ids=["judge", "compare"])
def test_an_unknown_rubric_is_a_problem(client: Any, path: str, some: list[dict[str, str]]) -> None:
    """A rubric that it does not have is the problem `unknown-rubric`, not another rubric's score."""
    problem = client.problem(422, "POST", f"/v1/{path}", {"rubric": "no-such-rubric", "items": some})
    assert problem["type"].endswith("unknown-rubric")


def test_an_unknown_field_is_refused(client: Any, judged: Judged) -> None:
    """A misspelt option fails loudly, wherever it stands."""
    body = {"rubric": judged.rubrics[0]["name"], "items": items()}
    client.problem(422, "POST", "/v1/judgments", body | {"temprature": 0})
    client.problem(422, "POST", "/v1/judgments", body | {"items": [items()[0] | {"refrence": ""}]})


def test_the_same_request_has_the_same_answer(client: Any, judged: Judged) -> None:
    """Asking again is harmless: the same answer without a model, one of the same shape with one."""
    rubric, first = next(judged.answers())
    again = client.ok("POST", "/v1/judgments", {"rubric": rubric["name"], "items": items()})
    if client.ok("GET", "/info")["model"] is None:
        assert again == first
    assert shape(again) == shape(first)


def shape(answer: dict[str, Any]) -> list[Any]:
    judgments = [(one["id"], [score["aspect"] for score in one["scores"]]) for one in answer["judgments"]]
    return [answer["rubric"], answer["rubric_version"], judgments]


def test_words_of_a_model_come_from_a_model_that_is_named(client: Any, judged: Judged) -> None:
    """`raw_reply` is what a judge model said. Where `/info` says that there is none, nobody can have said it."""
    if client.ok("GET", "/info")["model"] is not None:
        pytest.skip("its /info names a model")
    for _, answer in judged.answers():
        assert all(judgment["raw_reply"] is None for judgment in answer["judgments"])
