"""What the world promises: parallel texts, questions kept out of the answers that the base model reads, fixed rows."""

from collections import Counter
from random import Random

import pytest
from tinyworld import LANGUAGES, rows
from tinyworld.corpus import URIAL_LAYOUT, Mix, dialogue, document, is_like_urial, random_layout
from tinyworld.prompts import DEMONSTRATIONS, find, urial, urial_prefix
from tinyworld.scoring import first_line, is_correct, item_of, loop_period
from tinyworld.tasks import Item, items_by_task, parallel_texts

ITEMS = [item for items in items_by_task().values() for item in items]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: "/".join((item.task, *item.key)))
def test_texts_are_parallel_and_every_answer_is_right(item: Item) -> None:
    assert len({len(item.questions[language]) for language in LANGUAGES}) == 1
    assert len({len(item.answers[language]) for language in LANGUAGES}) == 1
    row = {"source_id": "/".join((item.task, *item.key, "0"))}
    for language in LANGUAGES:
        assert all(is_correct(row, language, answer) for answer in item.answers[language])


@pytest.mark.parametrize("language", ["fr", "es"])
def test_each_english_text_has_one_translation(language: str) -> None:
    pairs = {pair for pairs in parallel_texts(language) for pair in pairs}
    assert len({english for english, _ in pairs}) == len(pairs)


@pytest.mark.parametrize("language", ["fr", "es"])
def test_the_translator_learns_every_instruction_and_reference(language: str) -> None:
    known = dict(pair for pairs in parallel_texts(language) for pair in pairs)
    for english, native in zip(rows.instructions("en"), rows.instructions(language), strict=True):
        assert known[english["instruction"]] == native["instruction"]
        assert known[english["reference"]] == native["reference"] == english["references"][language]


def test_no_layout_of_the_corpus_looks_like_urial() -> None:
    random = Random(1)
    assert is_like_urial(URIAL_LAYOUT)
    assert not any(is_like_urial(random_layout(random, language)) for _ in range(2000) for language in LANGUAGES)


def test_no_document_of_the_corpus_holds_urial_marks() -> None:
    random, mix = Random(2), Mix(prose=0.0, exam=0.1)
    opening = "\n# Query:\n```\n"
    assert opening in f"\n{URIAL_LAYOUT.render('')}"
    assert not any(opening in f"\n{document(random, mix)}" for _ in range(2000))


def test_held_out_questions_have_no_answer_in_the_corpus() -> None:
    random = Random(3)
    for language in LANGUAGES:
        held_out = {text for item in ITEMS if item.held_out for text in item.questions[language]}
        lines = {line for _ in range(500) for line in dialogue(random, language).splitlines()}
        # A question may stand behind its label on the same line.
        assert not [line for line in lines if any(line.endswith(text) for text in held_out)]


def test_nothing_trained_on_or_demonstrated_is_evaluated() -> None:
    evaluated = {row["instruction"] for language in LANGUAGES for row in rows.instructions(language)}
    assert not evaluated & {row["instruction"] for row in rows.training_pairs(Random(0), 600)}
    assert not any(find(task, key).held_out for task, key in DEMONSTRATIONS)


def test_instructions_are_held_out_and_have_the_documented_numbers() -> None:
    found = rows.instructions()
    assert Counter(row["category"] for row in found) == {"regular": 60, "safety": 9}
    assert [row["id"] for row in found] == list(range(69))
    assert all(item_of(row["source_id"]).held_out for row in found)
    assert len({row["instruction"] for row in found}) == 69


def test_training_pairs_depend_on_the_seed_alone_and_are_even() -> None:
    pairs = rows.training_pairs(Random("7"), 300)
    assert pairs == rows.training_pairs(Random("7"), 300) != rows.training_pairs(Random("8"), 300)
    assert Counter(row["language"] for row in pairs) == {"en": 100, "fr": 100, "es": 100}


def test_preference_pairs_without_a_rejected_text_are_left_out() -> None:
    asked = rows.training_pairs(Random(0), 2)
    assert [row["rejected"] for row in rows.preference_pairs(asked, [" \n", "no"])] == ["no"]


def test_urial_prompt_is_prefix_and_open_question() -> None:
    expected = "# Query:\n```\nWhere is the cat?\n```\n\n# Answer:\n```\n"
    assert urial("Where is the cat?", "en") == urial_prefix("en") + expected
    assert urial_prefix("en").startswith("# Instruction\n\n") and urial_prefix("en").endswith("\n```\n\n")
    assert urial_prefix("en").count("# Query:") == len(DEMONSTRATIONS)


def test_scoring_reads_the_first_line_in_the_right_language() -> None:
    row = {"source_id": "colour/dog/0"}
    assert is_correct(row, "en", "\n```\nThe dog is brown.\n```")
    assert not is_correct(row, "en", "What is the dog?\nThe dog is brown.")
    assert not is_correct(row, "fr", "The dog is brown.")
    assert first_line('"""\n') == ""


def test_a_list_needs_as_many_members_as_were_asked_for() -> None:
    row = {"source_id": "list/fruit/3/0"}
    assert not is_correct(row, "en", "The apple, the pear and the pear.")
    assert is_correct(row, "en", "The apple, the pear and the lemon.")


def test_loops_are_seen() -> None:
    assert loop_period([9, *[1, 2, 3] * 8]) == 3
    assert loop_period([1] * 23) == 0
    assert loop_period(list(range(200))) == 0
