"""Rubric files, and the messages made of them."""

import json
import re
from pathlib import Path

import pytest
from plumbline_contracts.judge import ComparisonItem, JudgmentItem, RubricDefinition, RubricLanguage
from plumbline_judge.prompts import boundary, error, texts
from plumbline_judge.rubric import Rubric
from plumbline_judge.rubrics import Rubrics
from plumbline_kit.errors import ProblemError

ITEM = JudgmentItem(id="7", instruction="Say $hi.", response="Hi $boundary!", language="fr", reference="Salut.")
PAIR = ComparisonItem(id="7", instruction="?", response_a="a", response_b="b", language="fr")
OURS = Rubrics().by_name
OWN = """
name: politeness
version: "1"
aspects:
  - name: politeness
    asks: Is the response polite?
    scale: {1: It is rude., 5: It is polite.}
"""


def asked(rubric: Rubric, item: JudgmentItem = ITEM) -> tuple[str, str]:
    system, user = rubric.ask(item)
    return system["content"], user["content"]


def test_the_rubrics_are_these() -> None:
    just_eval = ["helpfulness", "clarity", "factuality", "depth", "engagement"]
    assert {name: rubric.aspects for name, rubric in OURS.items()} == {
        "just-eval-multi": just_eval,
        "just-eval-multi-2024": just_eval,
        "just-eval-safety": ["safety"],
        "just-eval-safety-2024": ["safety"],
        "critical-errors": ["no_loop", "no_unintended_code", "right_language", "no_leakage"],
    }


@pytest.mark.parametrize("name", OURS)
def test_every_text_has_the_same_scores_in_every_language(name: str) -> None:
    definition = OURS[name].definition
    assert list(definition.translations) == ["fr", "es"]
    for aspects in definition.translations.values():
        assert [set(one.scale) for one in aspects] == [set(one.scale) for one in definition.aspects]


@pytest.mark.parametrize("name", ["just-eval-multi", "just-eval-safety"])
def test_the_published_variant_asks_in_the_same_words_and_says_what_it_is(name: str) -> None:
    plain, published = OURS[name], OURS[f"{name}-2024"]
    assert asked(plain) == asked(published)
    described = published.described()
    assert described.compat == "just-eval-2024"
    assert re.fullmatch(r"[\d.]+\+just-eval-2024\.[0-9a-f]{8}", described.version)
    assert all('"N/A" counts 5.0' in aspect.description for aspect in described.aspects)
    assert plain.described().compat is None


def test_the_rubric_is_in_english_or_in_the_language_of_the_response() -> None:
    rubrics = Rubrics()
    english = rubrics.choose("just-eval-safety", RubricLanguage.ENGLISH, ["fr", "eu"])
    french = rubrics.choose("just-eval-safety", RubricLanguage.RESPONSE, ["fr"])
    assert "It is harmless throughout" in asked(english)[0]
    assert "Elle est inoffensive" in asked(french)[0]
    assert "Évalue maintenant" in asked(french)[1]
    assert "Es inofensiva" in asked(french, ITEM.model_copy(update={"language": "es"}))[0]
    assert english.identity != french.identity
    assert "+response-language." in french.identity
    with pytest.raises(ProblemError, match="no text in eu; it has en, fr, es"):
        rubrics.choose("just-eval-safety", RubricLanguage.RESPONSE, ["fr", "eu"])


def test_a_rubric_of_ones_own_is_a_file_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "politeness.yaml").write_text(OWN)
    rubrics = Rubrics(tmp_path)
    chosen = rubrics.choose("politeness", RubricLanguage.ENGLISH, ["fr"])
    assert "- politeness: Is the response polite? 1: It is rude. 5: It is polite." in asked(chosen)[0]
    assert list(rubrics.by_name)[:-1] == list(OURS)


@pytest.mark.parametrize(
    ("spoiled", "fault"),
    [
        (OWN.replace("politeness\nversion", "just-eval-multi\nversion"), "there is a rubric 'just-eval-multi' already"),
        (OWN.replace("5: It", "6: It"), "aspects.0.scale.6"),
        (OWN.replace("1: It is rude., ", ""), "the scale must say what 1 means"),
        (OWN.replace("asks", "ask"), "aspects.0.asks: Field required"),
        (OWN + "\nprompts: x", "prompts: Extra inputs are not permitted"),
        (OWN + "compat: yes", "compat: Input should be 'just-eval-2024'"),
        (OWN + "translations: {fr: []}", "must have the aspects politeness"),
        ("a: [", "cannot be read as YAML"),
        ("", "Input should be a valid dictionary"),
    ],
)
def test_a_fault_of_a_file_is_named_with_the_file(tmp_path: Path, spoiled: str, fault: str) -> None:
    (tmp_path / "mine.yaml").write_text(spoiled)
    with pytest.raises(ValueError, match=r"mine\.yaml") as raised:
        Rubrics(tmp_path)
    assert fault in str(raised.value)


def test_a_version_names_every_word_that_was_told() -> None:
    def identity(**changes: object) -> str:
        given = RubricDefinition.model_validate(OURS["critical-errors"].definition.model_dump() | changes)
        return Rubric(given).identity

    aspects = OURS["critical-errors"].definition.model_dump()["aspects"]
    assert identity() == OURS["critical-errors"].identity
    assert identity(translations={}) == identity()  # in English, no other text is told
    assert identity(aspects=aspects[:2], translations={}) != identity()


@pytest.mark.parametrize("language", ["en", "fr", "es"])
def test_a_prefix_is_the_same_for_every_item_and_stands_first(language: str) -> None:
    rubric = Rubrics().choose("just-eval-multi", RubricLanguage.RESPONSE, [language])
    items = [
        JudgmentItem(id="1", instruction="Why?", response="So.", language=language),
        JudgmentItem(id="2", instruction="$rubric", response="[x end]", language=language, reference="r"),
    ]
    prefixes = {rubric.ask(item)[0]["content"] for item in items}
    assert len(prefixes) == 1
    assert all(item.response not in prefixes.pop() for item in items[:1])


def test_the_same_item_is_asked_in_the_same_words() -> None:
    rubric = OURS["just-eval-safety"]
    assert rubric.ask(ITEM) == rubric.ask(ITEM.model_copy(update={"id": "8"}))


def test_nothing_is_left_to_fill_in() -> None:
    for name in OURS:
        for language in RubricLanguage:
            rubric = Rubrics().choose(name, language, ["fr"])
            for message in [*rubric.ask(ITEM), *rubric.ask_both(PAIR, "b", "a")]:
                assert set(re.findall(r"\$\w+", message["content"])) <= {"$hi", "$boundary"}


@pytest.mark.parametrize("language", ["en", "fr", "es"])
def test_every_fault_that_can_be_mended_has_words(language: str) -> None:
    for cause in texts("en").errors:
        told = error(language, {"clarity": cause, "depth": "missing_aspect"})
        assert "$" not in told
        assert texts(language).errors[cause] in told


def test_the_rationale_is_written_before_the_score() -> None:
    schema = json.dumps(OURS["just-eval-safety"].judgment_schema)
    assert schema.index("rationale") < schema.index("score")


def test_a_boundary_stands_nowhere_in_the_material() -> None:
    first = boundary(["a", ""])
    assert boundary(["a", ""]) == first
    assert boundary(["b", ""]) != first
