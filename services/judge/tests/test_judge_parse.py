"""Replies of judge models, good and bad, and what becomes of them."""

import json
from collections import Counter
from pathlib import Path

import pytest
from plumbline_contracts.judge import UnscoredCause, Verdict
from plumbline_judge import parse
from plumbline_judge.parse import Unusable

TWO = ("clarity", "depth")
GOOD = '{"clarity": {"rationale": "clear", "score": "4"}, "depth": {"rationale": "shallow", "score": "2"}}'


def outcome(reply: str) -> list[float | str]:
    """Per aspect the score, or the cause why there is none."""
    found = parse.scores(reply, TWO)
    assert [score.aspect for score in found] == list(TWO)
    assert all((score.score is None) == (score.unscored is not None) for score in found)
    return [score.score if score.unscored is None else score.unscored.cause.value for score in found]


@pytest.mark.parametrize(
    "reply",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"Here is my assessment:\n{GOOD}\nI hope this helps {{a bit}}.",
        f"<think>Perhaps {GOOD.replace('4', '1')}? No.</think>\n{GOOD}",
        f"{GOOD}\n\nOnce more:\n{GOOD}",
        GOOD.replace('"4"', "4").replace('"2"', "2.0"),
        GOOD.replace('"4"', '"4/5"').replace('"2"', '" 2 / 5 "'),
        GOOD.replace("rationale", "reason"),
        GOOD.replace("clarity", "Clarity"),
        GOOD.replace("shallow", "shallow,\nand short"),
        GOOD.replace("shallow", 'calls it \\"deep\\"'),
        GOOD.replace("}}", '}, "overall": {"score": "5"}}'),
        '{"clarity": 4, "depth": "2"}',
    ],
)
def test_a_verdict_is_found_whatever_surrounds_it(reply: str) -> None:
    assert outcome(reply) == [4, 2]


def test_the_rationale_is_kept() -> None:
    assert [score.rationale for score in parse.scores(GOOD, TWO)] == ["clear", "shallow"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('"N/A"', "not_applicable"),
        ('"n/a"', "not_applicable"),
        ('"Not applicable"', "not_applicable"),
        ("null", "missing_aspect"),
        ('""', "missing_aspect"),
        ('"0"', "out_of_range"),
        ("6", "out_of_range"),
        ("-3", "out_of_range"),
        ('"10"', "out_of_range"),
        ('"8/10"', "out_of_range"),
        ('"4/10"', "out_of_range"),
        ("true", "unparsable_reply"),
        ('"four"', "unparsable_reply"),
        ('"4 or 5"', "unparsable_reply"),
        ('"4-5"', "unparsable_reply"),
        ('"4, since it is clear"', "unparsable_reply"),
        ("[4]", "unparsable_reply"),
        ('{"value": 4}', "unparsable_reply"),
        ("4.5", 4.5),
    ],
)
def test_one_bad_score_leaves_the_other_aspect_alone(said: str, expected: float | str) -> None:
    assert outcome(GOOD.replace('"4"', said)) == [expected, 2]


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        ("", "empty_reply"),
        (" \n ", "empty_reply"),
        ("<think>What a response.</think>", "empty_reply"),
        ("I'm sorry, but I cannot assist with that.", "backend_refused"),
        ("Je suis désolé, mais je ne peux pas évaluer cela.", "backend_refused"),
        ("The response is clear. Clarity: 4, depth: 2.", "unparsable_reply"),
        ("4", "unparsable_reply"),
        ('{"score": "4"}', "unparsable_reply"),
        ("[4, 2]", "unparsable_reply"),
        (GOOD[:-1], "truncated_reply"),
        (GOOD[:60], "truncated_reply"),
        (GOOD[:30], "truncated_reply"),
        ("```json\n" + GOOD[:-2] + "\n```", "truncated_reply"),
        (GOOD.replace("clear", 'calls it "deep"'), "unparsable_reply"),
        (GOOD.replace('"', "'"), "unparsable_reply"),
        (GOOD.replace('"2"}', '"2",}'), "unparsable_reply"),
        (GOOD.replace('"4"', "NaN"), "unparsable_reply"),
        (GOOD + GOOD.replace('"4"', '"1"'), "unparsable_reply"),
        (GOOD.replace('"score": "4"', '"score": "4", "score": "1"'), "unparsable_reply"),
        ('{"depth": 2, "Depth": 3}', "unparsable_reply"),
        ('{"a":' * 100_000, "unparsable_reply"),
        (GOOD.replace('"4"', "9" * 5000), "unparsable_reply"),
    ],
)
def test_a_reply_without_a_verdict_scores_nothing(reply: str, cause: str) -> None:
    assert outcome(reply) == [cause, cause]


def test_an_aspect_that_is_not_there_is_missing() -> None:
    assert outcome('{"depth": {"rationale": "shallow", "score": "2"}}') == ["missing_aspect", 2]


@pytest.mark.parametrize(("said", "verdict"), [('"1"', "a"), ("2", "b"), ('"Tie"', "tie")])
def test_a_preference(said: str, verdict: str) -> None:
    assert parse.preference(f'{{"rationale": "so", "verdict": {said}}}') == (Verdict(verdict), "so")


@pytest.mark.parametrize(
    "reply", ['{"verdict": "both"}', '{"verdict": null}', '{"better": "1"}', "1", '{"verdict": "1"']
)
def test_no_preference(reply: str) -> None:
    with pytest.raises(Unusable):
        parse.preference(reply)


def test_recorded_replies_of_real_judges(recorded: Path) -> None:
    """1,200 replies: every score as their authors parsed it, but "N/A", which they counted as 5.0."""
    outcomes: Counter[str] = Counter()
    for file in sorted(recorded.glob("*.jsonl")):
        for row in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
            for mine in parse.scores(row["raw"], list(row["parsed"])):
                theirs = row["parsed"][mine.aspect]
                assert mine.rationale == theirs["reason"]
                if mine.unscored is None:
                    assert mine.score == float(theirs["score"])
                else:
                    assert (mine.unscored.cause, theirs["score"]) == (UnscoredCause.NOT_APPLICABLE, "N/A")
                outcomes["scored" if mine.unscored is None else "not applicable"] += 1
    assert outcomes == {"scored": 2782, "not applicable": 18}
