"""How sure a judge model was, read from the probabilities of the tokens that it wrote."""

import json
import math
from collections.abc import Sequence

import pytest
from plumbline_judge.backend import Token
from plumbline_judge.confidence import of_score
from plumbline_judge.parse import scores

REPLY = '{"clarity": {"rationale": "calls itself \\"clarity\\": \\"score\\": 5", "score": "4"}, "depth": 2}'


def tokens(
    reply: str, likely: dict[int, Sequence[tuple[str, float]]], pieces: Sequence[str] | None = None
) -> list[Token]:
    """Of one character each, or of these pieces; `likely` by the number of the token, with probabilities."""
    written = list(reply) if pieces is None else list(pieces)
    return [
        Token(text.encode(), [(other, math.log(share)) for other, share in likely.get(number, [(text, 1.0)])])
        for number, text in enumerate(written)
    ]


def test_the_expected_score_is_that_of_the_token_that_is_the_score() -> None:
    at = REPLY.index('"4"') + 1
    given = tokens(REPLY, {at: [("4", 0.6), ("5", 0.2), ("N", 0.2)]})
    clarity, depth = scores(REPLY, ["clarity", "depth"], tokens=given)
    assert clarity.score == 4 and clarity.confidence is not None
    assert clarity.confidence.probabilities == pytest.approx([0, 0, 0, 0.75, 0.25])
    assert clarity.confidence.expected == pytest.approx(4.25)
    assert clarity.confidence.mass == pytest.approx(0.8)
    assert depth.confidence is not None and depth.confidence.expected == 2


@pytest.mark.parametrize(
    ("before", "token", "after", "likely"),
    [
        (['{"a":{"score": '], '"4', ['"}}'], [('"4', 0.5), (' "5', 0.25), ('"', 0.25)]),
        (['{"a":{"score":"'], "4", ['"}}'], [("4", 0.5), ("5", 0.25), ("x", 0.25)]),
        (['{"a":{"score":'], ' "4"', ["}}"], [(' "4"', 0.5), ('"5"', 0.25), (' "N/A"', 0.25)]),
        (["<think>é — ", "5</think>", '{"a":', " "], "4", ["}"], [("4", 0.5), ("5", 0.25), ("45", 0.25)]),
    ],
)
def test_a_tokenizer_may_glue_quotes_to_a_digit(
    before: list[str], token: str, after: list[str], likely: list[tuple[str, float]]
) -> None:
    pieces = [*before, token, *after]
    reply = "".join(pieces)
    (one,) = scores(reply, ["a"], tokens=tokens(reply, {len(before): likely}, pieces))
    assert one.score == 4 and one.confidence is not None
    assert one.confidence.probabilities == pytest.approx([0, 0, 0, 2 / 3, 1 / 3])
    assert one.confidence.mass == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("reply", "pieces"),
    [
        ('{"a": "4/5"}', ['{"a": "', "4/5", '"}']),  # the token is more than a score
        ('{"a": 4.5}', ['{"a": ', "4", ".5}"]),  # no score token stands for 4.5
        ('{"a": 4}', ['{"b": ', "4", "}"]),  # tokens of another reply
        ('{"a": 4}', []),
    ],
)
def test_there_is_no_confidence_where_no_token_is_the_score(reply: str, pieces: list[str]) -> None:
    (one,) = scores(reply, ["a"], tokens=tokens(reply, {}, pieces))
    assert one.score is not None
    assert one.confidence is None


def test_what_is_no_score_has_no_confidence() -> None:
    reply = json.dumps({"a": {"score": "N/A"}})
    (one,) = scores(reply, ["a"], tokens=tokens(reply, {}))
    assert (one.score, one.confidence) == (None, None)
    assert of_score(reply, 0, "a", 4, tokens(reply, {})) is None
