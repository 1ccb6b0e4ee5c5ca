"""How a judge model is asked: chat messages made of a rubric, an item, and the texts in `prompts/`."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from itertools import count
from string import Template
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

LANGUAGES = ("en", "fr", "es")
Messages = list[dict[str, str]]


class Texts(BaseModel):
    """What a judge model is told around a rubric, in one language. A rubric in any other has these in English."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    system: str
    user: str
    compare_system: str
    compare_user: str
    reference: str
    repair: str
    errors: dict[str, str]


@cache
def texts(language: str) -> Texts:
    known = language if language in LANGUAGES else "en"
    content = (resources.files(__package__) / "prompts" / f"{known}.yaml").read_text(encoding="utf-8")
    return Texts.model_validate(yaml.safe_load(content))


def messages(system: str, user: str, reference: str | None, told: str, **material: str) -> Messages:
    """In the language `told`. `system` is the same for every item and stands first: servers can reuse its prefix."""
    code = boundary([*material.values(), reference or ""])
    known = "" if reference is None else fill(texts(told).reference, boundary=code, reference=reference)
    asked = Template(user).substitute(material, boundary=code, reference=known)
    return [{"role": "system", "content": system}, {"role": "user", "content": asked}]


def boundary(material: Sequence[str]) -> str:
    """A code that stands nowhere in the material, and that its author cannot have known.

    It is a digest of the material, which cannot contain its own; drawn at random, the same item would be asked in
    other words each time.
    """
    for attempt in count():
        code = hashlib.sha256(json.dumps([attempt, *material]).encode()).hexdigest()[:16]
        if not any(code in text for text in material):
            return code
    raise AssertionError("count() does not end")


def after_error(asked: Messages, reply: str, error: str) -> Messages:
    """The same conversation, with the model's reply and what is wrong with it."""
    return [*asked, {"role": "assistant", "content": reply}, {"role": "user", "content": error}]


def error(language: str, causes: Mapping[str, str]) -> str:
    """What is wrong, by aspect -> cause, in fixed words: no word of the reply, which may quote the material."""
    told = texts(language)
    if len(set(causes.values())) == 1 and (cause := next(iter(causes.values()))) not in {"missing_aspect"}:
        return fill(told.repair, error=told.errors[cause])
    return fill(told.repair, error=" ".join(f"{name}: {told.errors[cause]}" for name, cause in causes.items()))


def fill(text: str, **values: Any) -> str:
    return Template(text).safe_substitute(values)
