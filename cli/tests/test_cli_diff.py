"""`plumbline diff`: what differs is told with both values, and what is the same is not."""

import pytest
from plumbline.differences import ABSENT, Difference, between


@pytest.fixture
def two(coordinator, plumbline, write_spec):
    plumbline("run", write_spec(), "--id", "one")
    spec = write_spec("better")
    spec.write_text(
        spec.read_text().replace("max_new_tokens: 8", "max_new_tokens: 9").replace("name: urial", "name: URIAL")
    )
    plumbline("run", spec, "--id", "two")


def test_settings_responses_and_results_are_compared(two, plumbline):
    found = plumbline("diff", "one", "two", "--examples", "3", "--json").json
    spec = {one["path"]: (one.get("a"), one.get("b")) for one in found["spec"]}
    assert spec["decoding.max_new_tokens"] == (8, 9)
    assert spec["arms.urial.prompting"] == ("urial", None) and spec["arms.URIAL.prompting"] == (None, "urial")
    assert not any(path.startswith("arms.zero-shot") for path in spec)
    assert found["parts"] == []
    assert {
        "arm": "zero-shot",
        "language": "fr",
        "same": 3,
        "other": 1,
        "judged": 0,
        "only_a": 0,
        "only_b": 0,
    } in found["responses"]
    (example,) = found["examples"]
    assert [example[side]["item"] for side in "ab"] == ["1", "1"]
    assert example["b"]["response"] == example["a"]["response"] + " !"
    means = {one["path"]: (one.get("a"), one.get("b")) for one in found["results"]["means"]}
    assert means["judge / zero-shot / fr / clarity"] == (3.25, 3.5)
    assert means["judge / urial / fr / clarity"] == (3.25, None)
    assert found["results"]["findings"] == {"a": [], "b": []}


def test_it_is_readable(two, plumbline):
    outcome = plumbline("diff", "one", "two", "--examples", "1")
    assert outcome.code == 0, outcome.err
    for wanted in (
        "decoding.max_new_tokens",
        "another response",
        "+0.250",
        "zero-shot / fr / 1",
        "A: Ligne",
        "the same",
    ):
        assert wanted in outcome.out, outcome.out


def test_an_experiment_is_no_different_from_itself(two, plumbline):
    found = plumbline("diff", "one", "one", "--json").json
    assert found["spec"] == found["parts"] == found["results"]["means"] == found["results"]["error_rates"] == []
    assert all(one["same"] == 4 for one in found["responses"])


def test_results_that_are_not_there_are_not_compared(coordinator, plumbline, write_spec, two):
    plumbline("run", write_spec("fails"), "--id", "failed")
    assert plumbline("diff", "one", "failed", "--json").json["results"] is None
    assert plumbline("diff", "one", "absent").code == 4


def test_a_value_that_is_not_there_is_another_than_null():
    assert between({"a": 1, "b": None, "c": 0}, {"a": 1, "c": 0.0}) == [
        Difference("b", None, ABSENT),
        Difference("c", 0, 0.0),
    ]
