"""What is suspicious about a translation, seen from the two texts alone."""

import re
from collections import Counter
from collections.abc import Sequence

from plumbline_contracts.translator import TranslationFlag

from .layout import FENCE

_INLINE_CODE = re.compile(r"(?<!`)(`{1,2})(?!`)[^`\n]+\1(?!`)")
_PLACEHOLDER = re.compile(
    r"\{\{\s*[\w.-]+\s*\}\}|\{[\w.]*\}"  # {{x}} and {name}
    r"|%(?:\(\w+\))?[sdifr]\b"  # %s
    r"|https?://[^\s<>\"')\]]*[^\s<>\"')\].,;:!?]"
    r"|</?[A-Za-z][^<>\n]*>"  # <tag>
)
_FEW_LETTERS = 4
_WORDS, _CHARACTERS = (16, 4), (4, 12)  # longest repeated unit, and how often it must stand in a row


def flags(source: str, text: str) -> list[TranslationFlag]:
    """The flags of one translation between two different languages."""
    prose, code = _parts(source)
    translated_prose, translated_code = _parts(text)
    found = {
        TranslationFlag.UNTRANSLATED: _letters(prose) >= _FEW_LETTERS and prose.split() == translated_prose.split(),
        TranslationFlag.LOOPED: loops(translated_prose) and not loops(prose),
        TranslationFlag.CODE_CHANGED: code != translated_code,
        TranslationFlag.PLACEHOLDER_CHANGED: bool(_placeholders(prose) - _placeholders(translated_prose)),
        TranslationFlag.EMPTY: not text.strip(),
    }
    return [flag for flag, applies in found.items() if applies]


def loops(text: str) -> bool:
    """Whether the same few words, or the same few characters, stand many times in a row within a line."""
    return any(
        _repeats(re.findall(r"\w+", line.casefold()), *_WORDS) or _repeats(line, *_CHARACTERS)
        for line in text.split("\n")
    )


def _repeats(sequence: Sequence[str], longest: int, often: int) -> bool:
    """Whether a unit of at most `longest` items stands at least `often` times in a row."""
    for period in range(1, longest + 1):
        run = 0
        for earlier, later in zip(sequence, sequence[period:], strict=False):
            run = run + 1 if earlier == later else 0
            if run >= period * (often - 1):
                return True
    return False


def _parts(text: str) -> tuple[str, list[str]]:
    """The text without its code, and the code: fenced blocks, then `inline` spans."""
    fenced = [match[0] for match in FENCE.finditer(text)]
    rest = FENCE.sub("", text)
    return _INLINE_CODE.sub("", rest), fenced + [match[0] for match in _INLINE_CODE.finditer(rest)]


def _placeholders(text: str) -> Counter[str]:
    return Counter(_PLACEHOLDER.findall(text))


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))
