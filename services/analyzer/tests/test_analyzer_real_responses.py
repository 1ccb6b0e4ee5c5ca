"""Detectors on real responses, in place: what fires is what was read, and published pass rates come out."""

from collections.abc import Iterator

import pytest
from plumbline_analyzer import detectors
from plumbline_contracts.analyzer import DetectionItem, Detector

from services.analyzer.reliability import confusion, real


@pytest.fixture(scope="module")
def responses(shared_data) -> list[tuple[str, str, DetectionItem]]:
    return list(real.items(shared_data / "just-eval"))


def keys(firings) -> Iterator[tuple[str, ...]]:
    return (one[:5] for one in firings)


def test_what_fires_is_what_was_read(responses, identifier) -> None:
    fast = {name: one for name, one in detectors.registry(identifier).items() if name != Detector.WRONG_LANGUAGE}
    recorded = [one for one in real.recorded() if one.detector != Detector.WRONG_LANGUAGE]
    assert set(keys(real.firings(responses, fast))) == set(keys(recorded))


def test_wrong_language_fires_where_it_was_read(responses, identifier) -> None:
    """On every tenth response and where it fired; on all of them: python -m services.analyzer.reliability.real"""
    recorded = {key for key in keys(real.recorded()) if key[0] == Detector.WRONG_LANGUAGE}
    fired = {key[1:3] for key in recorded}
    some = [one for one in responses if (one[0], one[2].id) in fired or one[2].id.endswith("3")]
    one = {Detector.WRONG_LANGUAGE: detectors.registry(identifier)[Detector.WRONG_LANGUAGE]}
    assert set(keys(real.firings(some, one))) == recorded


def test_every_firing_was_read() -> None:
    assert {one.reading for one in real.recorded()} == {"true", "false"}


# Pooled shares that pass, measured elsewhere with the same model and method (per cent).
PUBLISHED = {
    ("command-r-base", "fr"): 86.2,
    ("command-r-base", "es"): 89.5,
    ("command-r", "fr"): 99.0,
    ("command-r", "es"): 95.0,
    ("gpt-4-turbo", "fr"): 99.3,
    ("gpt-4-turbo", "es"): 98.7,
    ("llama-2-instruct", "fr"): 87.0,
    ("llama-2-instruct", "es"): 96.3,
}


def test_the_published_pass_rates_come_out() -> None:
    rows = [row for row in confusion.recorded("pass_rates.csv") if row["task"] == "monolingual"]
    found = {(row["model"], row["language"]): float(row["published"]) for row in rows if row["language"] != "en"}
    assert found == PUBLISHED


def test_pass_rates_and_disagreements_are_those_recorded(shared_data, identifier) -> None:
    """One model's monolingual answers; all: python -m services.analyzer.reliability.confusion"""
    comparison = confusion.Comparison(identifier)
    mine = ("llama-2-instruct", "monolingual")
    answers = confusion.answers(shared_data / "language-confusion")
    verdicts = [comparison.verdicts(one) for one in answers if (one.model, one.task) == mine]
    for name, rows in (
        ("pass_rates.csv", confusion.rates(verdicts)),
        ("disagreements.csv", confusion.disagreements(verdicts)),
    ):
        recorded = [row for row in confusion.recorded(name) if (row["model"], row["task"]) == mine]
        assert list(rows) == recorded
