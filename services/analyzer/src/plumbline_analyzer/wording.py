"""Numbers and names as people read them, the same in sentences, tables and figures."""

from collections.abc import Mapping, Sequence

from plumbline_contracts.analyzer import Detector

MINUS = "\N{MINUS SIGN}"
NONE = "\N{EN DASH}"
CRITICAL = {
    Detector.INFINITE_LOOP: "infinite loops",
    Detector.UNINTENDED_CODE: "responses with unintended code",
    Detector.WRONG_LANGUAGE: "responses in the wrong language",
}
_LANGUAGES = {
    "ar": "Arabic",
    "ca": "Catalan",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "eu": "Basque",
    "fr": "French",
    "gl": "Galician",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "pt": "Portuguese",
    "ru": "Russian",
    "zh": "Chinese",
}


def language_name(code: str) -> str:
    return _LANGUAGES.get(code, code)


def plain(name: str) -> str:
    """`infinite_loop` -> `infinite loop`"""
    return name.replace("_", " ")


def number(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}".replace("-", MINUS)


def signed(value: float | None) -> str:
    return NONE if value is None else f"{value:+.2f}".replace("-", MINUS)


def percent(share: float | None) -> str:
    """One decimal below ten per cent, where it matters."""
    if share is None:
        return NONE
    share = round(share, 9)  # an interval may end at 0 but for the last digit
    return f"{100 * share:.0f}%" if share in (0, 1) or share >= 0.1 else f"{100 * share:.1f}%"


def listed(words: Sequence[str], last: str = "and") -> str:
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def probability(p: float | None) -> str:
    if p is None:
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def counted(missing: Mapping[str, int]) -> str:
    """`3 timeout, 1 not applicable`; 0 where nothing is missing."""
    return ", ".join(f"{count} {plain(cause)}" for cause, count in missing.items()) or "0"
