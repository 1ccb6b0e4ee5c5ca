"""What an instruction asks for beside an answer in its own language: code, another language, repetition, a dialogue."""

import re
from functools import lru_cache

from .words import table

_LONGEST = 20_000
_KINDS = ("code", "translation", "repetition", "verse", "dialogue", "own_text")
_PATTERNS = {kind: re.compile("|".join(table("intent")[kind]), re.IGNORECASE) for kind in _KINDS}
_BRINGS_TEXT = re.compile(r"[:\n\"«“]|'[^']{8,}'")


def asks_for_code(instruction: str) -> bool:
    return _asks("code", instruction)


def asks_for_repetition(instruction: str) -> bool:
    return _asks("repetition", instruction)


def asks_for_as_many(instruction: str, count: float) -> bool:
    """Whether it names a number of at least `count`: fifty stories of a line each are alike."""
    return any(int(number) >= count for number in re.findall(r"\b\d{1,4}\b", _read(instruction)))


def asks_for_verse(instruction: str) -> bool:
    return _asks("verse", instruction)


def asks_for_dialogue(instruction: str) -> bool:
    return _asks("dialogue", instruction)


def asks_for_its_own_text(instruction: str) -> bool:
    """Whether it brings a text along that the response may have to hold: to correct, to copy, to go on with."""
    return _asks("own_text", instruction) and _BRINGS_TEXT.search(_read(instruction)) is not None


def asks_for_other_language(instruction: str, language: str) -> bool:
    """Whether it asks for a translation or names a language other than the one expected ("in French", "al inglés")."""
    if _asks("translation", instruction):
        return True
    return _in_other_language(language).search(_read(instruction)) is not None


@lru_cache(maxsize=4096)  # the arms of an experiment share their instructions
def _asks(kind: str, instruction: str) -> bool:
    return _PATTERNS[kind].search(_read(instruction)) is not None


def _read(instruction: str) -> str:
    return instruction[:_LONGEST].replace("\u2019", "'")


@lru_cache(maxsize=64)
def _in_other_language(language: str) -> re.Pattern[str]:
    names = "|".join(names for code, names in table("intent")["languages"].items() if code != language)
    return re.compile(table("intent")["in_language"].replace("{names}", names), re.IGNORECASE)
