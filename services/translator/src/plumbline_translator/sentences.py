"""Split a line into sentences, and an overlong sentence into pieces that a model can translate."""

import re
from collections.abc import Callable

import sentencex  # type: ignore[import-untyped]

# Two pieces that end a sentence for sentencex and are none: an abbreviation ("M. Dupont") and a number ("1. Mix it").
_NO_SENTENCE = re.compile(r"\W*\w{1,3}\.\s*")
_PAUSE = re.compile(r"[,;:]\s+")
_SPACE = re.compile(r"\s+")


def split(line: str, language: str) -> list[str]:
    """The sentences of one line, without the space around them. The rules are in the library: no download."""
    sentences: list[str] = []
    carried = ""
    for piece in sentencex.segment(language, line):
        carried += piece
        if not _NO_SENTENCE.fullmatch(carried):
            sentences.append(carried.strip())
            carried = ""
    return [sentence for sentence in [*sentences, carried.strip()] if sentence]


def shorten(sentence: str, tokens: Callable[[str], int], most: int) -> list[str]:
    """Pieces of at most `most` tokens, cut near the middle: at a pause, else at a space, else anywhere."""
    if tokens(sentence) <= most:
        return [sentence]
    middle = len(sentence) // 2
    ends = (_ends(_PAUSE, sentence), _ends(_SPACE, sentence), [middle])
    cut = min(next(filter(None, ends)), key=lambda end: abs(end - middle))
    return shorten(sentence[:cut].rstrip(), tokens, most) + shorten(sentence[cut:], tokens, most)


def _ends(pattern: re.Pattern[str], sentence: str) -> list[int]:
    return [match.end() for match in pattern.finditer(sentence)]
