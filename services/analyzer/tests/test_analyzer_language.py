import pytest
from plumbline_analyzer.detectors import intent, language
from plumbline_analyzer.detectors.identifier import LanguageIdentifier
from plumbline_contracts.analyzer import Finding

ENGLISH = "The quick answer is that the city has grown a lot over the last ten years."
FRENCH = "La réponse courte est que la ville a beaucoup grandi au cours des dix dernières années."
SPANISH = "La respuesta corta es que la ciudad ha crecido mucho durante los últimos diez años."
CHINESE = "简短的回答是，这座城市在过去十年里发展了很多，人口也增加了不少，而且仍在增加。"
TEXTS = {"en": ENGLISH, "fr": FRENCH, "es": SPANISH, "zh": CHINESE}


@pytest.mark.parametrize("expected", ["en", "fr", "es"])
@pytest.mark.parametrize("actual", TEXTS)
def test_whole_responses(item, identifier, expected, actual) -> None:
    verdict = language.detect(item(TEXTS[actual], language=expected), identifier)
    assert verdict.finding == (Finding.ABSENT if expected == actual else Finding.FOUND)
    if expected != actual:
        assert verdict.evidence.startswith(f"{actual}: ")
        assert (verdict.start, verdict.end) == (0, len(TEXTS[actual]))


@pytest.mark.parametrize(("expected", "intruder"), [("fr", "en"), ("es", "en"), ("en", "fr"), ("es", "fr")])
def test_one_line_in_another_language(item, identifier, expected, intruder) -> None:
    response = "\n".join([TEXTS[expected]] * 4 + [TEXTS[intruder]] + [TEXTS[expected]] * 4)
    verdict = language.detect(item(response, language=expected), identifier)
    assert verdict.finding == Finding.FOUND
    assert response[verdict.start : verdict.end] == TEXTS[intruder]


@pytest.mark.parametrize(
    "response", ["", "Oui.", "42", "OK OK", "1 + 1 = 2", "😀 😀 😀", "```python\nprint('hello')\n```"]
)
def test_too_little_to_tell(item, identifier, response) -> None:
    assert language.detect(item(response, language="fr"), identifier).finding == Finding.UNDECIDED


def test_a_lone_fence_hides_nothing(item, identifier) -> None:
    assert language.detect(item(f"Oui.\n```\n{ENGLISH}", language="fr"), identifier).finding == Finding.FOUND


HARD_NEGATIVES = {
    "code": ("fr", FRENCH + "\n```python\n# this is an English comment in the code of the answer\n```\n" + FRENCH),
    "address": (
        "es",
        SPANISH + "\nhttps://example.com/the/english/words/of/this/address/are/not/the/answer\n" + SPANISH,
    ),
    "names": ("fr", FRENCH + "\n- Denzel Washington, Neil Patrick Harris, Hugh Jackman\n" + FRENCH),
    "short quotation": ("es", SPANISH + "\nEn inglés se dice «good morning» y «good night».\n" + SPANISH),
    "borrowed words": (
        "en",
        ENGLISH + "\nThe chef made a crème brûlée and coffee for the guests of the hotel.\n" + ENGLISH,
    ),
    "spanish near catalan": ("es", "1. Pan\n2. Leche\n3. Sal\n" + SPANISH),
}


@pytest.mark.parametrize("name", HARD_NEGATIVES)
def test_what_belongs_in_a_response_of_that_language(item, identifier, name) -> None:
    expected, response = HARD_NEGATIVES[name]
    assert language.detect(item(response, language=expected), identifier).finding == Finding.ABSENT


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("Translate this sentence.", "en"),
        ("How do you say good evening in French?", "en"),
        ("Traduis cette phrase en anglais.", "fr"),
        ("Écris un poème en espagnol.", "fr"),
        ("Traduce esta frase.", "es"),
        ("Escribe un poema en francés.", "es"),
    ],
)
def test_another_language_was_asked_for(item, identifier, instruction, expected) -> None:
    assert intent.asks_for_other_language(instruction, expected)
    response = TEXTS["zh"]
    assert language.detect(item(response, instruction, expected), identifier).finding == Finding.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ("Answer in English, please.", "en"),
        ("Réponds en français.", "fr"),
        ("Responde en español.", "es"),
        ("Why did the French revolution begin?", "en"),
        ("Qui était roi en France ?", "fr"),
        ("¿Quién era rey en Francia?", "es"),
    ],
)
def test_no_other_language_was_asked_for(instruction, expected) -> None:
    assert not intent.asks_for_other_language(instruction, expected)


def test_the_caller_may_say_so(item, identifier) -> None:
    verdict = language.detect(item(ENGLISH, language="fr", other_language=True), identifier)
    assert verdict.finding == Finding.NOT_APPLICABLE


def test_a_language_out_of_the_set_is_undecided(item, identifier) -> None:
    verdict = language.detect(item(ENGLISH, language="eu"), identifier)
    assert verdict.finding == Finding.UNDECIDED
    assert "eu" in verdict.evidence


def test_an_unknown_language_stops_the_start() -> None:
    with pytest.raises(ValueError, match=r"ANALYZER_LANGUAGES.*xx"):
        LanguageIdentifier(["en", "xx"])


def test_where_it_switches(item, identifier) -> None:
    response = f"{FRENCH}\n{FRENCH}\n{ENGLISH} {ENGLISH}\n{ENGLISH}"
    verdict = language.detect(item(response, language="fr"), identifier)
    assert (verdict.finding, verdict.kind, verdict.end) == (Finding.FOUND, "switch", len(response))
    assert verdict.start == response.index(ENGLISH)


def test_a_switch_within_a_line(item, identifier) -> None:
    verdict = language.detect(item(f"{SPANISH} {ENGLISH}", language="es"), identifier)
    assert (verdict.kind, verdict.start) == ("switch", len(SPANISH) + 1)


def test_an_answer_as_json_has_a_language(item, identifier) -> None:
    response = '{\n  "topic": "Opening hours of the town library",\n  "summary": "' + ENGLISH + '"\n}'
    assert language.detect(item(response, language="fr"), identifier).finding == Finding.FOUND
    assert language.detect(item(response, language="en"), identifier).finding == Finding.ABSENT
