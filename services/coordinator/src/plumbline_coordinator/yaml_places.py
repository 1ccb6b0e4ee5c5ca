"""Parse an experiment file and say of every fault where in the YAML it stands."""

from collections.abc import Sequence
from typing import Any

import yaml
from plumbline_contracts.common import Place
from plumbline_contracts.experiment import ExperimentSpec
from plumbline_kit.errors import ProblemError
from pydantic import ValidationError

Path = Sequence[int | str]


class SpecText:
    """The text of an experiment file with the line of everything in it."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        try:
            self.root = yaml.compose(text, Loader=yaml.SafeLoader)
            self.document: Any = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            fault = Place(place=f"{source}{line}", message=str(getattr(error, "problem", None) or error))
            raise invalid([fault]) from error

    def place(self, path: Path) -> str:
        """`source:line a.b[2]` of the node at `path`, or of its nearest parent that exists."""
        node, dotted = self.root, ""
        for step in path:
            child = _child(node, step)
            dotted += f"[{step}]" if isinstance(step, int) else f".{step}" if dotted else str(step)
            node = child if child is not None else node
        line = "" if node is None else f":{node.start_mark.line + 1}"
        return f"{self.source}{line} {dotted}".rstrip()

    def fault(self, path: Path, message: str) -> Place:
        return Place(place=self.place(path), message=message)

    def duplicates(self) -> list[Place]:
        """Keys given twice, of which YAML silently takes the last."""
        found, stack, visited = [], [self.root], set[int]()
        while stack:
            node = stack.pop()
            if id(node) in visited:  # an alias, which may even contain itself
                continue
            visited.add(id(node))
            if isinstance(node, yaml.MappingNode):
                seen: set[str] = set()
                for key, value in node.value:
                    if key.value in seen:
                        place = f"{self.source}:{key.start_mark.line + 1} {key.value}"
                        found.append(Place(place=place, message="given twice"))
                    seen.add(key.value)
                    stack.append(value)
            elif isinstance(node, yaml.SequenceNode):
                stack += node.value
        return found

    def parse(self) -> ExperimentSpec:
        """The experiment, or the problem `invalid-spec` with every fault of form."""
        faults = self.duplicates()
        if not isinstance(self.document, dict):
            faults.append(self.fault([], "an experiment file is a mapping; see experiments/quickstart.yaml"))
            raise invalid(faults)
        try:
            spec = ExperimentSpec.model_validate(self.document)
        except ValidationError as error:
            faults += [self.fault(fault["loc"], _message(dict(fault))) for fault in error.errors()]
            raise invalid(faults) from error
        if faults:
            raise invalid(faults)
        return spec


def invalid(faults: list[Place]) -> ProblemError:
    return ProblemError(422, "invalid-spec", f"{len(faults)} fault(s) in the experiment file.", errors=faults)


def _child(node: Any, step: int | str) -> Any:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step]
    return None


def _message(fault: dict[str, Any]) -> str:
    given = fault.get("input")
    shown = f" (given {given!r})" if isinstance(given, str | int | float | bool) else ""
    return {"missing": "is missing", "extra_forbidden": "is not a known setting"}.get(
        fault["type"], f"{fault['msg']}{shown}"
    )
