"""Routes, texts and failures, with packages that translate word by word."""

import asyncio

import pytest
from plumbline_contracts.translator import SourceText, TranslationRequest, TranslationResponse
from plumbline_kit.errors import ProblemError
from plumbline_translator.argos import ArgosTranslator
from plumbline_translator.echo import EchoTranslator
from plumbline_translator.packages import Cut

WORDS = {
    "en-fr": {"dog": "chien", "the": "le"},
    "fr-en": {"chien": "dog", "le": "the"},
    "en-es": {"dog": "perro", "the": "el"},
    "fr-it": {"chien": "cane"},
}


class Dictionary:
    """As ArgosPackage, without a model. It cannot end a line with the word `endless`."""

    compute_type = "none"

    def __init__(self, pair: str, version: str = "1.0") -> None:
        (self.source, self.target), self.version = pair.split("-"), version
        self.name, self.revision = f"{pair} {version}", version
        self.calls: list[list[str]] = []

    def translate(self, lines: list[str]) -> list[str | Cut]:
        self.calls.append(lines)
        return [Cut("no end") if "endless" in line else self._line(line) for line in lines]

    def _line(self, line: str) -> str:
        return " ".join(WORDS[f"{self.source}-{self.target}"].get(word, word) for word in line.split())


def translator(*packages: Dictionary) -> ArgosTranslator:
    return ArgosTranslator(list(packages), [], "folder", None)  # type: ignore[arg-type]


def ask(to: ArgosTranslator | EchoTranslator, pair: str, *texts: str) -> TranslationResponse:
    source, target = pair.split("-")
    items = [SourceText(id=str(number), text=text) for number, text in enumerate(texts)]
    return asyncio.run(to.translate(TranslationRequest(source=source, target=target, texts=items)))


def test_a_request_is_one_batch_and_keeps_order_and_shape() -> None:
    package = Dictionary("en-fr")
    answer = ask(translator(package), "en-fr", "the dog\n\n- dog\n", "", "```\nthe dog\n```", "dog dog")
    assert [item.text for item in answer.translations] == [
        "le chien\n\n- chien\n",
        "",
        "```\nthe dog\n```",
        "chien chien",
    ]
    assert [item.id for item in answer.translations] == ["0", "1", "2", "3"]
    assert package.calls == [["the dog", "dog", "dog dog"]]
    assert (answer.engine, answer.package) == ("argos", "en-fr 1.0")


def test_a_text_that_fails_does_not_fail_the_batch() -> None:
    failed, good = ask(translator(Dictionary("en-fr")), "en-fr", "dog\nendless dog", "dog").translations
    assert (failed.text, failed.cause) == (None, "no end")
    assert (good.text, good.cause) == ("chien", None)


def test_two_packages_that_meet_are_a_pair_through_english_first() -> None:
    packages = [Dictionary("fr-en"), Dictionary("en-es"), Dictionary("fr-it")]
    both = translator(*packages)
    answer = ask(both, "fr-es", "le chien")
    assert (answer.translations[0].text, answer.package) == ("el perro", "fr-en 1.0 + en-es 1.0")
    pairs = [(pair.source, pair.target) for pair in asyncio.run(both.languages()).pairs]
    assert pairs == [("en", "es"), ("fr", "en"), ("fr", "es"), ("fr", "it")]
    assert ask(translator(Dictionary("fr-en"), Dictionary("en-es")), "fr-es", "endless").translations[0].text is None


def test_the_newest_package_of_a_pair_is_taken() -> None:
    versions = translator(Dictionary("en-fr", "1.10"), Dictionary("en-fr", "1.9"), Dictionary("en-fr", "unversioned"))
    assert ask(versions, "en-fr", "dog").package == "en-fr 1.10"


@pytest.mark.parametrize("pair", ["en-de", "en-en", "fr-en"])
def test_an_unknown_pair_is_a_problem_that_names_those_there_are(pair: str) -> None:
    with pytest.raises(ProblemError, match="en-es, en-fr") as problem:
        ask(translator(Dictionary("en-fr"), Dictionary("en-es")), pair, "dog")
    assert (problem.value.status, problem.value.kind) == (422, "unknown-language-pair")


def test_without_packages_the_service_cannot_work() -> None:
    with pytest.raises(ProblemError) as problem:
        asyncio.run(translator().check())
    assert (problem.value.status, problem.value.kind) == (503, "no-packages")


def test_echo_returns_any_pair_untranslated() -> None:
    text, number = ask(EchoTranslator(), "de-pl", "Hunde", "42").translations
    assert (text.text, text.flags, number.text, number.flags) == ("Hunde", ["untranslated"], "42", [])
