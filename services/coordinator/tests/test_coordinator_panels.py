"""Panels: what becomes of scores that agree, differ or are missing; what is wrong with an experiment file."""

import pytest
from plumbline_contracts.coordinator import RecordedJudgment
from plumbline_contracts.experiment import ExperimentSpec, Panel
from plumbline_coordinator import panels
from plumbline_kit.errors import ProblemError

JUDGES = ["a", "b", "c"]


def given(*scores, aspect="depth"):
    return [
        RecordedJudgment(
            judge=judge,
            rubric="r",
            aspect=aspect,
            score=score if isinstance(score, int | float) else None,
            rationale=None,
            stated=None,
            confidence=None,
            repaired=False,
            missing=score if isinstance(score, str) else None,
        )
        for judge, score in zip(JUDGES, scores, strict=False)
    ]


@pytest.mark.parametrize(
    ("aggregation", "quorum", "scores", "expected"),
    [
        ("median", None, (1, 4, 5), 4),
        ("mean", None, (1, 4, 4), 3),
        ("vote", None, (2, 5, 5), 5),
        ("vote", None, (4.4, 3.5, 1), 4),
        ("vote", None, (1, 3, 5), panels.NO_MAJORITY),
        ("median", None, (1, 4, "truncated_reply"), panels.NO_QUORUM),
        ("median", 2, (1, 4, "truncated_reply"), 2.5),
        ("vote", 2, (1, 4, "truncated_reply"), panels.NO_MAJORITY),
        ("mean", 1, ("x", "y", 2), 2),
        ("mean", 1, ("x", "y", "z"), panels.NO_QUORUM),
    ],
)
def test_a_panel_scores_as_it_says_or_says_why_not(aggregation, quorum, scores, expected):
    panel = Panel(name="jury", judges=JUDGES, aggregation=aggregation, quorum=quorum)
    (found,) = panels.judgments(panel, given(*scores))
    assert (found.judge, found.aspect, found.rubric) == ("jury", "depth", "r")
    assert (found.missing if isinstance(expected, str) else found.score) == expected
    assert (found.score is None) != (found.missing is None)
    assert found.rationale.startswith(f"{aggregation} of a {scores[0]}, b {scores[1]}")


def test_an_aspect_that_not_all_of_them_score_is_not_the_panels():
    panel = Panel(name="jury", judges=JUDGES, aggregation="mean")
    (found,) = panels.judgments(panel, given(1, 2) + given(1, 2, 3, aspect="clarity"))
    assert found.aspect == "clarity"
    assert not list(panels.judgments(panel, given(1, 2)))


def spec(judges, more):
    return ExperimentSpec.model_validate(
        {
            "name": "x",
            "languages": ["en"],
            "dataset": {"path": "i.jsonl"},
            "models": {"m": {"base": "m"}},
            "arms": [{"name": "a", "model": "m"}],
            "decoding": {"max_new_tokens": 8},
            "judges": judges,
            "panels": more,
        }
    )


def test_what_is_wrong_with_panels_is_told_with_its_place():
    jury = {"name": "a", "judges": ["a", "x", "a"], "aggregation": "vote", "quorum": 4}
    found = dict(
        (tuple(place), message) for place, message in panels.faults(spec([{"name": "a"}, {"name": "b"}], [jury]))
    )
    assert found[("panels", 0, "name")] == "'a' is the name of a judge or panel before"
    assert found[("panels", 0, "judges", 1)] == "the experiment has no judge 'x'; it has: a, b"
    assert found[("panels", 0, "judges", 2)] == "'a' is given twice"
    assert found[("panels", 0, "quorum")] == "the panel has 3 judges"


def test_an_experiment_of_shadows_has_no_result():
    (only,) = panels.faults(spec([{"name": "a", "role": "shadow"}], []))
    assert only[0] == ["judges", 0, "role"]


def test_judges_of_a_panel_must_share_an_aspect():
    two = spec([{"name": "a", "rubrics": {"regular": "r"}}, {"name": "b", "rubrics": {"regular": "s"}}], [])
    both = two.model_copy(update={"panels": [Panel(name="jury", judges=["a", "b"], aggregation="mean")]})
    panels.must_share(both, {"a": {"r": ["depth", "wit"]}, "b": {"s": ["wit"]}})
    with pytest.raises(ProblemError, match=r"no aspect in common \(a: depth; b: wit\)"):
        panels.must_share(both, {"a": {"r": ["depth"]}, "b": {"s": ["wit"]}})
