"""The rubrics that can be asked for: Plumbline's own, those of a folder of the user's, one given in a request."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from plumbline_contracts.judge import Compat, RubricDefinition, RubricLanguage
from plumbline_kit.errors import ProblemError
from pydantic import ValidationError

from .rubric import Rubric

_OURS = ("just-eval-multi", "just-eval-safety", "critical-errors")
_AS_PUBLISHED = {"just-eval-multi": "just-eval-multi-2024", "just-eval-safety": "just-eval-safety-2024"}


class Rubrics:
    def __init__(self, folder: Path | None = None) -> None:
        """Raises ValueError that names the file and the fault."""
        self.by_name: dict[str, Rubric] = {}
        for place, definition in [*_ours(), *_theirs(folder)]:
            if definition.name in self.by_name:
                raise ValueError(f"{place}: there is a rubric {definition.name!r} already; give it another name")
            self.by_name[definition.name] = Rubric(definition)
        self._translated = {
            name: replace(rubric, language=RubricLanguage.RESPONSE) for name, rubric in self.by_name.items()
        }

    def choose(self, chosen: str | RubricDefinition, language: RubricLanguage, languages: Iterable[str]) -> Rubric:
        """The rubric for items in these languages; the problem `unknown-rubric` or `rubric-language`."""
        if isinstance(chosen, RubricDefinition):
            rubric = Rubric(chosen, language)
        elif chosen in self.by_name:
            rubric = (self._translated if language is RubricLanguage.RESPONSE else self.by_name)[chosen]
        else:
            there_is = ", ".join(self.by_name)
            raise ProblemError(422, "unknown-rubric", f"There is no rubric {chosen!r} here; there is {there_is}.")
        lacking = sorted({rubric.told_in(one) for one in languages} - set(rubric.languages))
        if lacking:
            has = f"it has {', '.join(rubric.languages)}; rubric_language `en` needs no other"
            detail = f"The rubric {rubric.name!r} has no text in {', '.join(lacking)}; {has}."
            raise ProblemError(422, "rubric-language", detail)
        return rubric


def _ours() -> Iterator[tuple[str, RubricDefinition]]:
    for name in _OURS:
        definition = _read(resources.files(__package__) / "rubrics" / f"{name}.yaml")
        yield name, definition
        if name in _AS_PUBLISHED:
            compat = {"name": _AS_PUBLISHED[name], "compat": Compat.JUST_EVAL_2024}
            yield name, definition.model_copy(update=compat)


def _theirs(folder: Path | None) -> Iterator[tuple[str, RubricDefinition]]:
    if folder is None:
        return
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    for file in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        yield file.name, _read(file)


def _read(file: Traversable) -> RubricDefinition:
    try:
        return RubricDefinition.model_validate(_with_text_keys(yaml.safe_load(file.read_text(encoding="utf-8"))))
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise ValueError(f"{file.name}: {place + ': ' if place else ''}{fault['msg']}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{file.name}: it cannot be read as YAML: {error}") from error


def _with_text_keys(node: Any) -> Any:
    """YAML reads the 1 of a scale as a number and the language `no` as false; the contract has names."""
    if isinstance(node, dict):
        names = {True: "yes", False: "no"}
        return {
            names.get(key, str(key)) if isinstance(key, bool) else str(key): _with_text_keys(value)
            for key, value in node.items()
        }
    return [_with_text_keys(each) for each in node] if isinstance(node, list) else node
