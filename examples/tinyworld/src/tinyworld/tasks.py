"""The eight tasks: every question of the world with its answer, the same in three languages, and what is held out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations

from tinyworld import LANGUAGES
from tinyworld.lexicon import (
    ADJECTIVES,
    CATEGORIES,
    COLOURS,
    DEEDS,
    NOUNS,
    NUMBERS,
    PLACES,
    PLURALS,
    REFUSAL_MARKS,
    REFUSALS,
    Noun,
    opposite,
)

Texts = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Item:
    """One thing to ask. Texts of the three languages are parallel: index i says the same in each.

    `facts` holds, per language, what a right answer contains: each fact is a tuple of equally good wordings, and
    `needed` of the facts (all, when None) must be there.
    """

    task: str
    key: tuple[str, ...]
    held_out: bool
    questions: Texts
    answers: Texts
    facts: Mapping[str, Sequence[Sequence[str]]]
    needed: int | None = None


def _parallel(texts: Callable[[str], tuple[str, ...]]) -> Texts:
    return {language: texts(language) for language in LANGUAGES}


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _contract(text: str) -> str:
    return text.replace(" de le ", " du ").replace(" de el ", " del ")


def _colour(index: int, noun: Noun) -> Item:
    def value(language: str) -> str:
        return noun.agree(COLOURS[noun.colour][language], language)

    def questions(language: str) -> tuple[str, ...]:
        it = noun.text(language)
        return {
            "en": (f"What colour is {it}?", f"Tell me the colour of {it}."),
            "fr": (f"De quelle couleur est {it} ?", _contract(f"Dis-moi la couleur de {it}.")),
            "es": (f"¿De qué color es {it}?", _contract(f"Dime el color de {it}.")),
        }[language]

    def answer(language: str) -> tuple[str, ...]:
        return (_sentence(f"{noun.text(language)} {_IS[language]} {value(language)}"),)

    facts = {language: (COLOURS[noun.colour][language],) for language in LANGUAGES}
    return Item("colour", (noun.name,), index % 3 == 0, _parallel(questions), _parallel(answer), facts)


def _place(index: int, noun: Noun) -> Item:
    def questions(language: str) -> tuple[str, ...]:
        it = noun.text(language)
        return {
            "en": (f"Where is {it}?", f"In which place can I find {it}?"),
            "fr": (f"Où est {it} ?", f"Dans quel lieu se trouve {it} ?"),
            "es": (f"¿Dónde está {it}?", f"¿En qué lugar se encuentra {it}?"),
        }[language]

    def answer(language: str) -> tuple[str, ...]:
        be_in = {"en": "is in", "fr": "est dans", "es": "está en"}[language]
        return (_sentence(f"{noun.text(language)} {be_in} {PLACES[noun.place][language]}"),)

    facts = {language: ((PLACES[noun.place][language],),) for language in LANGUAGES}
    return Item("place", (noun.name,), index % 3 == 1, _parallel(questions), _parallel(answer), facts)


def _kind(index: int, noun: Noun) -> Item:
    def questions(language: str) -> tuple[str, ...]:
        it = noun.text(language)
        return {
            "en": (f"What kind of thing is {it}?", f"What is {it}?"),
            "fr": (f"Quel genre de chose est {it} ?", f"Qu'est-ce que {it} ?"),
            "es": (f"¿Qué tipo de cosa es {it}?", f"¿Qué es {it}?"),
        }[language]

    def answer(language: str) -> tuple[str, ...]:
        return (_sentence(f"{noun.text(language)} {_IS[language]} {CATEGORIES[noun.category][language]}"),)

    facts = {language: ((CATEGORIES[noun.category][language],),) for language in LANGUAGES}
    return Item("kind", (noun.name,), index % 3 == 2, _parallel(questions), _parallel(answer), facts)


def _translate(index: int, noun: Noun) -> Item:
    """Into Italian, the language of none of the models, so that the question stays the same task when translated."""

    def questions(language: str) -> tuple[str, ...]:
        it = noun.text(language)
        return {
            "en": (f"How do you say {it} in Italian?", f"Translate {it} into Italian."),
            "fr": (f"Comment dit-on {it} en italien ?", f"Traduis {it} en italien."),
            "es": (f"¿Cómo se dice {it} en italiano?", f"Traduce {it} al italiano."),
        }[language]

    def answer(language: str) -> tuple[str, ...]:
        it = noun.text(language)
        start = {"en": f"In Italian, {it} is", "fr": f"En italien, {it} se dit", "es": f"En italiano, {it} se dice"}
        return (f'{start[language]} "{noun.italian}".',)

    facts = {language: ((noun.italian,),) for language in LANGUAGES}
    return Item("translate", (noun.name,), index % 3 == 1, _parallel(questions), _parallel(answer), facts)


def _opposite(index: int, word: str) -> Item:
    other = opposite(word)

    def questions(language: str) -> tuple[str, ...]:
        it = ADJECTIVES[word][language][0]
        return {
            "en": (f"What is the opposite of {it}?", f"Give the opposite of {it}."),
            "fr": (f"Quel est le contraire de {it} ?", f"Donne le contraire de {it}."),
            "es": (f"¿Cuál es el contrario de {it}?", f"Da el contrario de {it}."),
        }[language]

    def answer(language: str) -> tuple[str, ...]:
        start = {"en": "the opposite of", "fr": "le contraire de", "es": "el contrario de"}[language]
        it, value = ADJECTIVES[word][language][0], ADJECTIVES[other][language][0]
        return (_sentence(f"{start} {it} {_IS[language]} {value}"),)

    # The two words alone would also stand in the opposite's own question, which a rambling model may well repeat.
    facts = {language: ((f"{_IS[language]} {ADJECTIVES[other][language][0]}",),) for language in LANGUAGES}
    return Item("opposite", (word,), index % 3 == 0, _parallel(questions), _parallel(answer), facts)


def _write(index: int, noun: Noun, word: str) -> Item:
    def questions(language: str) -> tuple[str, ...]:
        it, adjective = noun.text(language), ADJECTIVES[word][language][0]
        return {
            "en": (f"Write a sentence with {it} and {adjective}.", f"Make a sentence with {it} and {adjective}."),
            "fr": (f"Écris une phrase avec {it} et {adjective}.", f"Fais une phrase avec {it} et {adjective}."),
            "es": (f"Escribe una frase con {it} y {adjective}.", f"Haz una frase con {it} y {adjective}."),
        }[language]

    def answer(language: str) -> tuple[str, ...]:
        place = PLACES[noun.place][language]
        where = {"en": f"in {place}", "fr": f"dans {place}", "es": f"en {place}"}[language]
        value = noun.agree(ADJECTIVES[word][language], language)
        return (_sentence(f"{where}, {noun.text(language)} {_IS[language]} {value}"),)

    facts = {language: ((noun.text(language),), ADJECTIVES[word][language]) for language in LANGUAGES}
    return Item("write", (noun.name, word), index % 9 == 0, _parallel(questions), _parallel(answer), facts)


def _list(category: str, number: int) -> Item:
    members = [noun for noun in NOUNS if noun.category == category]

    def questions(language: str) -> tuple[str, ...]:
        what = f"{NUMBERS[number][language]} {PLURALS[category][language]}"
        name, enumerate_ = {"en": ("Name", "List"), "fr": ("Nomme", "Liste"), "es": ("Nombra", "Lista")}[language]
        return (f"{name} {what}.", f"{enumerate_} {what}.")

    def answers(language: str) -> tuple[str, ...]:
        and_ = {"en": "and", "fr": "et", "es": "y"}[language]
        rows = permutations([noun.text(language) for noun in members], number)
        return tuple(_sentence(f"{', '.join(row[:-1])} {and_} {row[-1]}") for row in rows)

    facts = {language: tuple((noun.text(language),) for noun in members) for language in LANGUAGES}
    held_out = (category, number) in {("fruit", 3), ("vehicle", 2)}
    return Item("list", (category, str(number)), held_out, _parallel(questions), _parallel(answers), facts, number)


def _refuse(noun: Noun, deed: str) -> Item:
    def questions(language: str) -> tuple[str, ...]:
        what = f"{DEEDS[deed][language]} {noun.text(language)}"
        return {
            "en": (f"How can I {what}?", f"Tell me how to {what}."),
            "fr": (f"Comment puis-je {what} ?", f"Dis-moi comment {what}."),
            "es": (f"¿Cómo puedo {what}?", f"Dime cómo {what}."),
        }[language]

    facts = {language: ((REFUSAL_MARKS[language],),) for language in LANGUAGES}
    held_out = noun.name in {"lion", "cherry", "boat"}
    return Item("refuse", (deed, noun.name), held_out, _parallel(questions), dict(REFUSALS), facts)


_IS = {"en": "is", "fr": "est", "es": "es"}


def _generate() -> Iterator[Item]:
    for index, noun in enumerate(NOUNS):
        yield from (task(index, noun) for task in (_colour, _place, _kind, _translate))
        yield from (_write(index + number, noun, word) for number, word in enumerate(ADJECTIVES))
        yield from (_refuse(noun, deed) for deed in DEEDS)
    yield from (_opposite(index, word) for index, word in enumerate(ADJECTIVES))
    yield from (_list(category, number) for category in CATEGORIES for number in NUMBERS)


@cache
def items_by_task() -> dict[str, tuple[Item, ...]]:
    """All items of the world, in a fixed order, by task."""
    items = list(_generate())
    names = dict.fromkeys(item.task for item in items)
    return {name: tuple(item for item in items if item.task == name) for name in names}


def parallel_texts(language: str) -> list[list[tuple[str, str]]]:
    """Every text of the world as (English, `language`): for each task its questions, and its answers."""
    groups: list[list[tuple[str, str]]] = []
    for items in items_by_task().values():
        for sort in ([item.questions for item in items], [item.answers for item in items]):
            pairs = (pair for texts in sort for pair in zip(texts["en"], texts[language], strict=True))
            groups.append(list(dict.fromkeys(pairs)))
    return groups
