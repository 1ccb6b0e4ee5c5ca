"""Sentences, and pieces of overlong ones."""

import pytest
from plumbline_translator.sentences import shorten, split


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("en", ["Dr. Smith paid $3.50, e.g. for tea.", "What now?!", "See www.a.com/b.c?x=1.", "Ok..."]),
        ("fr", ["M. Dupont est arrivé.", "Quelle heure est-il ?", "« Vraiment ! » dit-il."]),
        ("es", ["El Sr. López llegó.", "¿Qué hora es?", "¡Vaya!"]),
        ("en", ["1. Mix it.", "2. Bake it."]),
        ("xx", ["Hello.", "You there."]),
    ],
)
def test_sentences(language: str, sentences: list[str]) -> None:
    assert split("  ".join(sentences), language) == sentences


def test_a_line_that_never_ends_a_sentence_is_one() -> None:
    assert split("name 1.", "en") == ["name 1."]
    assert split("M.", "fr") == ["M."]


def test_an_overlong_sentence_is_cut_at_a_pause_else_a_space_else_anywhere() -> None:
    assert shorten("one two, three four five", len, 16) == ["one two,", "three four five"]
    assert shorten("one two three four", len, 10) == ["one two", "three four"]
    assert shorten("abcdefgh", len, 4) == ["abcd", "efgh"]
    assert shorten("short", len, 5) == ["short"]
