"""Which operations declare a habit in their contract, so that what the kit adds to them is what the document says."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.routing import compile_path
from starlette.types import Scope

Operation = Mapping[str, Any]


class Declared:
    """The operations of an OpenAPI document with one HTTP method for which `declares` holds."""

    def __init__(self, document: Mapping[str, Any], method: str, declares: Callable[[Operation], bool]) -> None:
        self.method = method.upper()
        self.paths = [
            compile_path(path)[0]
            for path, operations in document["paths"].items()
            if method in operations and declares(operations[method])
        ]

    def __contains__(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["method"] != self.method:
            return False
        return any(path.match(scope["path"]) for path in self.paths)


def takes_header(name: str) -> Callable[[Operation], bool]:
    """Whether an operation has this header as a parameter."""
    return lambda operation: any(one["name"].lower() == name for one in operation.get("parameters", []))
