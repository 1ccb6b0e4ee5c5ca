"""One rubric: what a judge model is told about it, in which words and languages, and the form of its reply."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from plumbline_contracts import judge as contract
from plumbline_contracts.judge import AspectDefinition, RubricDefinition, RubricLanguage

from . import prompts
from .prompts import Messages, texts

SCORES = ("1", "2", "3", "4", "5", "N/A")
VERDICTS = ("1", "2", "tie")


@dataclass(frozen=True)
class Rubric:
    """A definition, asked in English or in the language of each response."""

    definition: RubricDefinition
    language: RubricLanguage = RubricLanguage.ENGLISH

    @property
    def name(self) -> str:
        return self.definition.name

    @cached_property
    def aspects(self) -> list[str]:
        return [aspect.name for aspect in self.definition.aspects]

    @cached_property
    def languages(self) -> list[str]:
        return ["en", *(one for one in self.definition.translations if one != "en")]

    @cached_property
    def identity(self) -> str:
        """The version, how it differs from a plain one, and a digest of every word that a judge model is told."""
        words = self.languages if self.language is RubricLanguage.RESPONSE else ["en"]
        told = [[one, self._scales(one), texts(one).model_dump()] for one in words]
        digest = hashlib.sha256(json.dumps([self.name, self.definition.compat, told]).encode()).hexdigest()[:8]
        differs = ["response-language"] if self.language is RubricLanguage.RESPONSE else []
        if self.definition.compat is not None:
            differs.append(self.definition.compat)
        return f"{self.definition.version}+{'.'.join([*differs, digest])}"

    def described(self) -> contract.Rubric:
        aspects = [contract.Aspect(name=one.name, description=_text(one)) for one in self.definition.aspects]
        if self.definition.compat is not None:
            label = f' ({self.definition.compat}: "N/A" counts 5.0)'
            aspects = [one.model_copy(update={"description": one.description + label}) for one in aspects]
        return contract.Rubric(
            name=self.name,
            version=self.identity,
            aspects=aspects,
            languages=self.languages,
            compat=self.definition.compat,
        )

    def told_in(self, language: str) -> str:
        """The language of the rubric's text for a response in `language`."""
        return language if self.language is RubricLanguage.RESPONSE else "en"

    def ask(self, item: contract.JudgmentItem) -> Messages:
        told = self.told_in(item.language)
        return prompts.messages(
            self._systems[told][0],
            self._users[told][0],
            item.reference,
            told,
            language=item.language,
            instruction=item.instruction,
            response=item.response,
        )

    def ask_both(self, item: contract.ComparisonItem, first: str, second: str) -> Messages:
        told = self.told_in(item.language)
        return prompts.messages(
            self._systems[told][1],
            self._users[told][1],
            item.reference,
            told,
            language=item.language,
            instruction=item.instruction,
            first=first,
            second=second,
        )

    @cached_property
    def _systems(self) -> dict[str, tuple[str, str]]:
        """Per language what is said before every judgment and before every comparison."""
        form = json.dumps({name: {"rationale": "...", "score": "1-5"} for name in self.aspects})
        return {
            one: (
                prompts.fill(texts(one).system, rubric=self._scales(one), form=form),
                prompts.fill(texts(one).compare_system, rubric=self._scales(one)),
            )
            for one in self.languages
        }

    @cached_property
    def _users(self) -> dict[str, tuple[str, str]]:
        names = ", ".join(self.aspects)
        return {one: (prompts.fill(texts(one).user, aspects=names), texts(one).compare_user) for one in self.languages}

    def _scales(self, language: str) -> str:
        aspects = self.definition.translations.get(language, self.definition.aspects)
        return "\n".join(f"- {aspect.name}: {_text(aspect)}" for aspect in aspects)

    @cached_property
    def judgment_schema(self) -> dict[str, Any]:
        """The JSON schema of a reply. The rationale stands before the score, so it is written before it."""
        return _closed({name: _closed({"rationale": _TEXT, "score": _one_of(SCORES)}) for name in self.aspects})

    @cached_property
    def comparison_schema(self) -> dict[str, Any]:
        return _closed({"rationale": _TEXT, "verdict": _one_of(VERDICTS)})


def _text(aspect: AspectDefinition) -> str:
    return " ".join([aspect.asks, *(f"{score}: {aspect.scale[score]}" for score in sorted(aspect.scale))])


_TEXT = {"type": "string"}


def _one_of(words: tuple[str, ...]) -> dict[str, Any]:
    return {"type": "string", "enum": list(words)}


def _closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
