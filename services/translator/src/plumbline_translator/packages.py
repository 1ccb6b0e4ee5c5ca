"""Argos packages on CTranslate2: loaded from their folders, a whole request's sentences in one batch."""

import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ctranslate2
from plumbline_kit.artifacts import digest

from . import sentences
from .flags import loops

log = logging.getLogger(__name__)
_MOST_SOURCE_TOKENS = 200
_MOST_TARGET_TOKENS = 256  # what argostranslate, too, lets CTranslate2 write for one sentence


@dataclass(frozen=True)
class Cut:
    """A line that could not be translated to its end."""

    cause: str


class ArgosPackage:
    """One language pair."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._package = _read(folder)
        self.source, self.target = self._package.from_code, self._package.to_code
        self.version = self._package.package_version
        self._digest = digest(folder)[0]
        self.name = f"translate-{self.source}_{self.target} {self.version}"
        self._encode = self._package.tokenizer.encode
        self._encode("Read the tokenizer now, so that a broken one is found at start.")
        # Many small batches side by side: with more than one thread inside a batch, OpenMP costs more than it brings.
        self._model = ctranslate2.Translator(
            str(folder / "model"), device="cpu", inter_threads=threads, intra_threads=1, compute_type="auto"
        )

    @property
    def revision(self) -> str:
        """Digest of the package's files, and in which numbers they are computed."""
        return f"sha256:{self._digest} {self.compute_type}"

    @property
    def compute_type(self) -> str:
        return str(self._model.compute_type)

    def translate(self, lines: Sequence[str]) -> list[str | Cut]:
        """Translate each line; the same sentence is translated once."""
        split = [self._sentences(line) for line in lines]
        unique = list(dict.fromkeys(sentence for parts in split for sentence in parts))
        written = dict(zip(unique, self._translate([self._encode(sentence) for sentence in unique]), strict=True))
        return [self._line([written[sentence] for sentence in parts]) for parts in split]

    def _sentences(self, line: str) -> list[str]:
        found = sentences.split(line, self.source)
        return [
            piece
            for sentence in found
            for piece in sentences.shorten(sentence, lambda text: len(self._encode(text)), _MOST_SOURCE_TOKENS)
        ]

    def _translate(self, tokens: list[list[str]]) -> list[list[str]]:
        """As `argostranslate.translate.apply_packaged_translation` does it, but with batches of a useful size."""
        prefix = self._package.target_prefix
        results = self._model.translate_batch(
            tokens,
            target_prefix=[[prefix]] * len(tokens) if prefix else None,
            replace_unknowns=True,
            max_batch_size=1024,
            batch_type="tokens",
            beam_size=4,
            length_penalty=0.2,
            max_decoding_length=_MOST_TARGET_TOKENS,
        )
        return [result.hypotheses[0] for result in results]

    def _line(self, parts: list[list[str]]) -> str | Cut:
        text: str = self._package.tokenizer.decode([token for tokens in parts for token in tokens])
        prefix = self._package.target_prefix
        text = text.removeprefix(prefix).removeprefix(" ") if prefix else text.removeprefix(" ")
        if any(len(tokens) >= _MOST_TARGET_TOKENS for tokens in parts) and not loops(text):
            return Cut(f"{self.name} wrote {_MOST_TARGET_TOKENS} tokens for one sentence without coming to its end.")
        return text


def load(root: Path, threads: int) -> tuple[list[ArgosPackage], list[str]]:
    """Every package under `root` that can be loaded, and what was wrong with each of the others."""
    packages, faults = [], []
    for folder in sorted(metadata.parent for metadata in root.glob("*/metadata.json")):
        try:
            packages.append(ArgosPackage(folder, threads))
        except Exception as error:  # a folder of unknown origin can be broken in any way
            faults.append(f"{folder.name} cannot be loaded: {type(error).__name__}: {error}")
            log.error("unusable package: %s", faults[-1])
    return packages, faults


def _read(folder: Path) -> Any:
    """The package as argostranslate reads it: metadata and tokenizer."""
    with _no_home():
        # Not argostranslate.translate: it imports stanza, spacy and torch, and its sentence splitter downloads rules.
        from argostranslate.package import Package
    package = Package(folder)
    if package.type != "translate" or not package.from_code or not package.to_code:
        raise ValueError(f"its metadata.json names no language pair (type {package.type!r})")
    return package


@contextmanager
def _no_home() -> Iterator[None]:
    """argostranslate makes folders in the home directory when it is imported; it needs none of them here."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(dict.fromkeys(("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), folder))
        os.environ["ARGOS_PACKAGES_DIR"] = folder
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
