"""The rubrics of a judge model: read from the data files beside this module, rendered into chat messages."""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from importlib import resources
from string import Template
from typing import Any

import yaml
from openai.types.chat import ChatCompletionMessageParam
from plumbline_contracts import judge as contract
from pydantic import BaseModel, ConfigDict, Field

FILES = ("just-eval-multi.yaml", "just-eval-safety.yaml")
SCORES = ("1", "2", "3", "4", "5", "N/A")
VERDICTS = ("1", "2", "tie")
Messages = list[ChatCompletionMessageParam]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Aspect(_Data):
    asks: str
    scale: dict[int, str]

    def text(self) -> str:
        return " ".join([self.asks, *(f"{score}: {meaning}" for score, meaning in self.scale.items())])


class Prompts(_Data):
    system: str
    user: str
    compare_system: str
    compare_user: str


class Rubric(_Data):
    name: str
    version: str = Field(description="Of the rubric's own text.")
    prompts: Prompts
    aspects: dict[str, Aspect]

    @cached_property
    def identity(self) -> str:
        """The version, and a digest of every word that a judge model is told: two equal ones asked the same."""
        return f"{self.version}+{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:8]}"

    def described(self) -> contract.Rubric:
        aspects = [contract.Aspect(name=name, description=aspect.text()) for name, aspect in self.aspects.items()]
        return contract.Rubric(name=self.name, version=self.identity, aspects=aspects)

    def ask(self, item: contract.JudgmentItem) -> Messages:
        return self._messages(
            self.prompts.system,
            self.prompts.user,
            item.reference,
            language=item.language,
            instruction=item.instruction,
            response=item.response,
        )

    def ask_both(self, item: contract.ComparisonItem, first: str, second: str) -> Messages:
        return self._messages(
            self.prompts.compare_system,
            self.prompts.compare_user,
            item.reference,
            language=item.language,
            instruction=item.instruction,
            first=first,
            second=second,
        )

    def _messages(self, system: str, user: str, reference: str | None, **material: str) -> Messages:
        told = Template(system).substitute(rubric=self._scales(), form=self._form())
        # The code must be unknown to whoever wrote the material, which cannot contain its own digest; and the same
        # item must be asked in the same words each time, so it is not drawn at random.
        boundary = hashlib.sha256(json.dumps([material, reference]).encode()).hexdigest()[:16]
        asked = Template(user).substitute(
            material, boundary=boundary, aspects=", ".join(self.aspects), reference=_reference(boundary, reference)
        )
        return [{"role": "system", "content": told}, {"role": "user", "content": asked}]

    def _scales(self) -> str:
        return "\n".join(f"- {name}: {aspect.text()}" for name, aspect in self.aspects.items())

    def _form(self) -> str:
        return json.dumps({name: {"rationale": "...", "score": "1 to 5"} for name in self.aspects})

    def judgment_schema(self) -> dict[str, Any]:
        """The JSON schema of a reply. The rationale stands before the score, so it is written before it."""
        return _closed({name: _closed({"rationale": _TEXT, "score": _one_of(SCORES)}) for name in self.aspects})

    def comparison_schema(self) -> dict[str, Any]:
        return _closed({"rationale": _TEXT, "verdict": _one_of(VERDICTS)})


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


def _reference(boundary: str, reference: str | None) -> str:
    if reference is None:
        return ""
    return f"For orientation, a response known to be good:\n\n[{boundary} reference]\n{reference}\n[{boundary} end]\n"


def load() -> dict[str, Rubric]:
    """Every rubric by name."""
    rubrics = [_read(name) for name in FILES]
    return {rubric.name: rubric for rubric in rubrics}


def _read(name: str) -> Rubric:
    data = _yaml(name)
    return Rubric.model_validate({**data, "prompts": _yaml(data["prompts"])})


def _yaml(name: str) -> dict[str, Any]:
    folder = resources.files(__package__) / "rubrics"
    content = yaml.safe_load((folder / name).read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content
