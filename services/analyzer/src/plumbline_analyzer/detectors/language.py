"""Wrong language: the response, some lines, or all of it from some point on, is in another language than asked."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from plumbline_contracts.analyzer import DetectionItem, Severity
from plumbline_contracts.periodicity import LoopRule, periodic_suffix

from .code import find_code
from .code_lines import lines
from .fences import blocks
from .identifier import LanguageIdentifier
from .intent import asks_for_other_language
from .verdict import ABSENT, NOT_APPLICABLE, Verdict, found, undecided
from .words import table

LEAST_WORDS = 5  # of a line, as in the Language Confusion Benchmark (arXiv 2406.20052)
_LEAST_LONG = 3  # of them with more than one letter; "x + y - x * y" has none
_LEAST_WORDS_SENTENCE = 7  # a sentence amid a line is a bolder claim
_LEAST_LETTERS = 20
_LEAST_LETTERS_UNSPACED = 12
_WHOLE_LENGTH = 2_000  # characters of the response that are enough to name its language
_MOST_LINES = 100
SURE = 0.9  # probability from which another language is named
_PURE = 0.97  # a line at least so surely in its language is not cut into sentences ...
_SHORT = 240  # ... unless it has more characters, among which a sentence may hide
_NAMES = 0.6  # share of words in capitals from which a line lists names or titles
_IGNORED = re.compile(
    r"https?://\S+|[\w.+-]{1,64}@[\w.-]+"
    r"|«[^«»\n]{1,200}»|“[^“”\n]{1,200}”|\"[^\"\n]{1,200}\"|„[^„“\n]{1,200}“"
    r"|\$\$?[^$\n]{1,200}\$\$?"
)
_LOOP = LoopRule(4, 60)
_LINE = re.compile(r"[^\n]+")
_SENTENCE = re.compile(r"\S.*?(?:[.!?…]+(?=\s)|$)")
_WORD = re.compile(r"[^\W\d_]+")
_QUOTED = re.compile(r"[\"“«]([^\"“”«»\n]{15,})[\"”»]")
_LEAST_QUOTED = 12  # words
_FUNCTION_WORDS = {language: frozenset(words.split()) for language, words in table("function").items()}
_TOKEN = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_SHORT_WORDS = 20  # in fewer words, names and loans weigh so much that function words have to agree
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")


class _Part(NamedTuple):
    """A stretch of a response and the language that it is taken to be in."""

    language: str
    start: int
    end: int


def detect(item: DetectionItem, identifier: LanguageIdentifier) -> Verdict:
    if item.other_language or asks_for_other_language(item.instruction, item.language):
        return NOT_APPLICABLE
    if item.language not in identifier.languages:
        return undecided(f"{item.language} is not among the languages that this analyzer tells apart")
    text = blanked(item.response)
    whole = _whole(text, item.language, identifier) or _quoted(item.response, item.language, identifier)
    if whole not in (item.language, None):
        return found(f"{whole}: {item.response}", 0, len(item.response), Severity.CRITICAL, "response")
    checked = list(_parts(text, item.language, identifier))
    wrong = [part for part in checked if part.language != item.language]
    if wrong:
        return _located(item.response, checked, wrong)
    return undecided("too short or too uncertain to name its language") if whole is None else ABSENT


def _located(response: str, checked: list[_Part], wrong: list[_Part]) -> Verdict:
    """A switch where everything from the first wrong part on is wrong, otherwise that part."""
    first = wrong[0]
    evidence = f"{first.language}: {response[first.start : first.end]}"
    if len(checked) > 1 and checked[-len(wrong) :] == wrong:
        return found(evidence, first.start, len(response), Severity.MAJOR, "switch")
    share = sum(part.end - part.start for part in wrong) / max(1, len(response))
    severity = Severity.MAJOR if share >= 0.2 else Severity.MINOR
    return found(evidence, first.start, first.end, severity, "lines")


def blanked(text: str) -> str:
    """Blanks of the same length in place of what is no running text keep the offsets.

    That is: code, addresses, quotations, formulas, and every repeat of a loop but the first, since one word a hundred
    times tells no more about a language than once and misleads the identifier.
    """
    spans = [(block.start, block.end) for block in blocks(text)]
    spans += [(line.start, line.end) for line in lines(text) if line.code]
    spans += [span for span in [find_code(text)] if span]
    spans += [match.span() for match in _IGNORED.finditer(text)]
    loop = periodic_suffix(text, _LOOP)
    if loop is not None:
        spans.append((len(text) - loop.covered + loop.period, len(text)))
    parts, position = [], 0
    for start, end in sorted(spans):
        parts += [text[position:start], _blank(text[max(start, position) : end])]
        position = max(position, end)
    return "".join([*parts, text[position:]])


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _whole(text: str, expected: str, identifier: LanguageIdentifier) -> str | None:
    """The language of the text; null when it is too short, or neither surely another nor likely the expected one."""
    start = text.strip()[:_WHOLE_LENGTH]
    if sum(map(str.isalpha, start)) < _LEAST_LETTERS and len(_UNSPACED.findall(start)) < _LEAST_LETTERS_UNSPACED:
        return None
    guess = identifier.guess(start, expected)
    sure = guess.probability >= SURE and _confirmed(start, guess.language, expected)
    return guess.language if guess.language == expected or sure else None


def _quoted(response: str, expected: str, identifier: LanguageIdentifier) -> str | None:
    """The language of what stands in quotation marks, for an answer that has no other text, such as JSON."""
    text = " ".join(_QUOTED.findall(response[:_WHOLE_LENGTH]))
    return _whole(text, expected, identifier) if len(_WORD.findall(text)) >= _LEAST_QUOTED else None


def _confirmed(text: str, language: str | None, expected: str) -> bool:
    """Whether the function words of a short text do not speak against another language."""
    mine, other = _FUNCTION_WORDS.get(expected), _FUNCTION_WORDS.get(language or "")
    if mine is None or other is None:
        return True
    words = [word.lower() for word in _TOKEN.findall(text.replace("\u2019", "'"))]
    if len(words) >= _SHORT_WORDS:
        return True
    return sum(word in other and word not in mine for word in words) > sum(
        word in mine and word not in other for word in words
    )


def _parts(text: str, expected: str, identifier: LanguageIdentifier) -> Iterator[_Part]:
    """Lines, and the sentences of a line that is not purely in the expected language, with what they are in."""
    spans = [match.span() for match in _LINE.finditer(text) if is_long_enough(match[0], LEAST_WORDS)]
    for start, end in spans[:: -(-len(spans) // _MOST_LINES) or 1]:
        guess = identifier.guess(text[start:end][:_WHOLE_LENGTH], expected)
        if guess.language == expected and guess.expected >= _PURE and end - start <= _SHORT:
            yield _Part(expected, start, end)
        else:
            yield from _sentences(text, start, end, expected, identifier)


def _sentences(text: str, start: int, end: int, expected: str, identifier: LanguageIdentifier) -> Iterator[_Part]:
    """The sentences of a line, or the line where it is one."""
    spans = [(start + s.start(), start + s.end()) for s in _SENTENCE.finditer(text[start:end])]
    spans = [span for span in spans if is_long_enough(text[slice(*span)], _LEAST_WORDS_SENTENCE)] or [(start, end)]
    for first, last in spans[:_MOST_LINES]:
        guess = identifier.guess(text[first:last], expected)
        wrong = guess.language not in (expected, None) and guess.probability >= SURE
        wrong = wrong and _confirmed(text[first:last], guess.language, expected)
        yield _Part(guess.language if wrong and guess.language else expected, first, last)


def is_long_enough(line: str, words: int) -> bool:
    """Whether a line is long enough to name its language, and no list of names or titles."""
    found: list[str] = _WORD.findall(line[:_WHOLE_LENGTH])
    if len(found) < words or sum(len(word) > 1 for word in found) < _LEAST_LONG:
        return len(_UNSPACED.findall(line)) >= _LEAST_LETTERS_UNSPACED
    capitals = sum(word[0].isupper() for word in found)
    return capitals < _NAMES * len(found)
