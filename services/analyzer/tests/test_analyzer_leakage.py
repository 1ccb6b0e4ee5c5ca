import pytest
from plumbline_analyzer.detectors import leakage
from plumbline_contracts.analyzer import Finding

PREFIX = (
    "# Instruction\n\nBelow is a list of conversations between a person and an assistant that is polite and kind.\n\n"
    "# Query:\n```\nName a river in Germany.\n```\n\n# Answer:\n```\nThe longest river that runs mainly through Germany"
    " is the Rhine, which begins high up in the Swiss Alps.\n```\n"
)


@pytest.mark.parametrize(
    "response",
    [
        "Paris.\n```\n\n# Query:\n```\nWhat about Spain?",
        "Paris.\n# Answer:\nMadrid.",
        "Paris.\n\n### Instruction:\nName another one.",
        "Paris.\n# Requête :\nEt l'Espagne ?",
        "París.\n# Respuesta:\nMadrid.",
        "Paris.<|im_end|>\n<|im_start|>user",
        "Paris. [INST] And Spain? [/INST]",
        "Paris.</s>",
        "<|user|>\nHello",
    ],
)
def test_template_text(item, response) -> None:
    verdict = leakage.detect(item(response))
    assert verdict.finding == Finding.FOUND
    assert verdict.evidence == " ".join(response[verdict.start : verdict.end].split())


@pytest.mark.parametrize(
    "response",
    [
        "# Instructions\n1. Heat the oven.\n# Answers to common questions\nNone.",
        "## Answer\n\nParis is the capital.\n\n## Explanation\n\nIt is.",
        "## Réponse\n\nParis est la capitale de la France.",
        "## Respuesta\n\nMadrid es la capital de España.",
        "My query: what is it? Answer: Paris. The user is happy.",
        "Question: who? Answer: me.",
        "Use the # sign, then Query.",
        "a < b | c > d, and <s>struck out</s> never closes".replace("</s>", ""),
        "",
    ],
)
def test_ordinary_markdown(item, response) -> None:
    assert leakage.detect(item(response, prefix=PREFIX)).finding == Finding.ABSENT


def test_what_the_instruction_talks_about_is_no_leak(item) -> None:
    assert leakage.detect(item("<|im_end|> ends a turn.", "What is <|im_end|>?")).finding == Finding.ABSENT


def test_thirteen_words_of_the_prompt(item) -> None:
    copied = "the longest river that runs mainly through germany is the rhine which begins"
    response = f"I think {copied}, as they say."
    verdict = leakage.detect(item(response, prefix=PREFIX))
    assert verdict.finding == Finding.FOUND
    assert response[verdict.start : verdict.end] == copied
    twelve = copied.rsplit(" ", 1)[0] + " ends"
    assert leakage.detect(item(twelve, prefix=PREFIX)).finding == Finding.ABSENT


def test_the_longest_copy_is_shown(item) -> None:
    response = (
        "The longest river that runs mainly through Germany flows. Below is a list of conversations between a person"
        " and an assistant that is rude."
    )
    verdict = leakage.detect(item(response, prefix=PREFIX))
    assert response[verdict.start : verdict.end].startswith("Below is a list")
    assert response[verdict.start : verdict.end].endswith("an assistant that is")


def test_a_quotation_of_the_instruction_is_no_leak(item) -> None:
    quoted = "The longest river that runs mainly through Germany is the Rhine"
    assert leakage.detect(item(quoted, f"Is this true: {quoted}?", prefix=PREFIX)).finding == Finding.ABSENT


def test_the_opening_of_a_demonstrated_refusal_is_no_leak(item) -> None:
    refusal = "I'm sorry, but I can't help with that, and I won't."
    assert leakage.detect(item(refusal.replace("'", "\u2019"), prefix=refusal)).finding == Finding.ABSENT


TURNS = "\n\nQ: And Spain?\nA: Madrid."


def test_a_new_query_with_its_answer(item) -> None:
    verdict = leakage.detect(item(f"Paris.{TURNS}", "Name a capital."))
    assert (verdict.finding, verdict.kind) == (Finding.FOUND, "new_query")
    for instruction in ("Write a quiz about capitals.", "Écris un entretien.", "Escribe preguntas y respuestas."):
        assert leakage.detect(item(f"Paris.{TURNS}", instruction)).finding == Finding.ABSENT
