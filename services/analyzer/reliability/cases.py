"""Labelled cases: texts of our own and corruptions made from them, development and held-out apart.

A part is a folder with texts (`LANGUAGE.yaml`, `common.yaml`) and its own corruptions (`recipes.py`). The same seed
makes the same cases.
"""

import importlib
import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from plumbline_contracts.analyzer import DetectionItem, Detector

PARTS = ("development", "held_out")
LANGUAGES = ("en", "fr", "es")
FOLDER = Path(__file__).parent


class Case(NamedTuple):
    """`found`: the detectors that must fire; all others must not. `not_applicable`: those that must say so."""

    template: str
    item: DetectionItem
    found: frozenset[Detector]
    not_applicable: frozenset[Detector]


class Texts(NamedTuple):
    """What a part has in one language; `common` belongs to none, `others` are the other languages' answers."""

    language: str
    own: dict[str, Any]
    common: dict[str, Any]
    others: dict[str, list[str]]
    chance: random.Random

    @property
    def answers(self) -> list[dict[str, str]]:
        return self.own["answers"]

    @property
    def prefix(self) -> str:
        """A prompt in URIAL's layout with a demonstration of its own."""
        return (
            f"# Instruction\n\n{self.own['system']}\n\n# Query:\n```\nx + 1 = 3\n```\n\n# Answer:\n```\nx = 2\n```\n\n"
        )

    def make(
        self,
        template: str,
        ask: str,
        response: str,
        *found: Detector,
        finish: str | None = None,
        not_applicable: Sequence[Detector] = (),
    ) -> Case:
        item = DetectionItem(
            id=template,
            instruction=ask,
            response=response,
            language=self.language,
            finish_reason=finish,
            prefix=self.prefix,
        )
        cut = [Detector.TRUNCATED] if finish == "length" else []
        return Case(template, item, frozenset([*found, *cut]), frozenset(not_applicable))


Recipe = Callable[[Texts], Iterator[Case]]


def texts(part: str, language: str) -> Texts:
    read = {one: yaml.safe_load((FOLDER / part / f"{one}.yaml").read_text("utf-8")) for one in (*LANGUAGES, "common")}
    others = {one: [answer["text"] for answer in read[one]["answers"]] for one in LANGUAGES if one != language}
    others |= {one: [text] for one, text in read["common"]["other_languages"].items()}
    seed = zlib.crc32(f"{part}/{language}".encode())
    return Texts(language, read[language], read["common"], others, random.Random(seed))  # noqa: S311


def cases(part: str, language: str) -> list[Case]:
    recipes: Sequence[Recipe] = importlib.import_module(f"services.analyzer.reliability.{part}.recipes").RECIPES
    source = texts(part, language)
    return [case for recipe in (*recipes, _negatives) for case in recipe(source)]


def _negatives(source: Texts) -> Iterator[Case]:
    """What looks like an error and is none, as written down in the part."""
    for detector, rows in source.own["negatives"].items():
        for row in rows:
            yield source.make(f"hard negative: {detector}", row["ask"], row["text"], finish="stop")
    for row in source.own["not_refusals"]:
        yield source.make("hard negative: refusal", row["ask"], row["text"], finish="stop")
