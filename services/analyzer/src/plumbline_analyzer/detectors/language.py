"""Wrong language: the response as a whole, or a line of it, is in another language than asked."""

import re
from collections.abc import Iterator, Sequence

from lingua import IsoCode639_1, LanguageDetectorBuilder
from plumbline_contracts.analyzer import DetectionItem, Severity

from .fences import blocks
from .intent import asks_for_other_language
from .verdict import ABSENT, NOT_APPLICABLE, Verdict, found, undecided

_LEAST_WORDS = 5  # of a line, as in the Language Confusion Benchmark (arXiv 2406.20052)
_LEAST_LETTERS = 20
_WHOLE_LENGTH = 2_000  # characters of the response that are enough to name its language
_MOST_LINES = 100
_SURE = 0.95
_IGNORED = re.compile(r"https?://\S+|[\w.+-]{1,64}@[\w.-]+")
_LINE = re.compile(r"[^\n]+")
_WORD = re.compile(r"[^\W\d_]{2,}")


class LanguageIdentifier:
    """Names the language of a text among a closed set. Loads its models at once; safe to share between threads."""

    def __init__(self, languages: Sequence[str]) -> None:
        known = {code.name.lower(): code for code in (getattr(IsoCode639_1, name) for name in _codes())}
        unknown = sorted(set(languages) - set(known))
        if unknown:
            raise ValueError(f"ANALYZER_LANGUAGES: lingua does not know {', '.join(unknown)}")
        self.languages = frozenset(languages)
        builder = LanguageDetectorBuilder.from_iso_codes_639_1(*(known[language] for language in languages))
        self._detector = builder.with_preloaded_language_models().build()

    def confidences(self, text: str) -> dict[str, float]:
        """Language -> probability, most likely first; empty where no language of the set is possible."""
        values = self._detector.compute_language_confidence_values(text)
        return {value.language.iso_code_639_1.name.lower(): value.value for value in values if value.value > 0}


def _codes() -> Iterator[str]:
    return (name for name in dir(IsoCode639_1) if re.fullmatch(r"[A-Z]{2}", name))


def detect(item: DetectionItem, identifier: LanguageIdentifier) -> Verdict:
    if item.other_language or asks_for_other_language(item.instruction, item.language):
        return NOT_APPLICABLE
    if item.language not in identifier.languages:
        return undecided(f"{item.language} is not among the languages that this analyzer tells apart")
    text = _without_code(item.response)
    spans = [match.span() for match in _LINE.finditer(text)]
    whole = _judge(text.strip()[:_WHOLE_LENGTH], item.language, identifier)
    if whole not in (item.language, None):
        return found(f"{whole}: {text}", 0, len(item.response), Severity.CRITICAL, "response")
    for start, end in _spread([span for span in spans if len(spans) > 1 and _is_long_enough(text[slice(*span)])]):
        language = _judge(text[start:end][:_WHOLE_LENGTH], item.language, identifier)
        if language not in (item.language, None):
            return found(f"{language}: {text[start:end]}", start, end, Severity.MAJOR, "lines")
    return undecided("too short or too uncertain to name its language") if whole is None else ABSENT


def _without_code(text: str) -> str:
    """Blanks of the same length in place of fenced blocks and addresses keep the offsets."""
    parts, position = [], 0
    for block in blocks(text):
        parts += [text[position : block.start], _blank(text[block.start : block.end])]
        position = block.end
    return _IGNORED.sub(lambda match: _blank(match[0]), "".join([*parts, text[position:]]))


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _is_long_enough(line: str) -> bool:
    return len(_WORD.findall(line[:_WHOLE_LENGTH])) >= _LEAST_WORDS


def _spread(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    step = -(-len(spans) // _MOST_LINES) or 1
    return spans[::step]


def _judge(text: str, expected: str, identifier: LanguageIdentifier) -> str | None:
    """The language of the text; null when it is too short, or neither surely another nor likely the expected one."""
    if sum(map(str.isalpha, text)) < _LEAST_LETTERS:
        return None
    confidences = identifier.confidences(text)
    if not confidences:
        return None
    likeliest, confidence = next(iter(confidences.items()))
    return likeliest if likeliest == expected or confidence >= _SURE else None
