"""Examples in the OpenAPI documents: of every operation, as recorded from the services, and so of every schema.

`python -m tests.record_examples` records anew what is missing or no longer fits.
"""

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

Json = dict[str, Any]
BINARY = ("application/octet-stream", "application/zip")  # of which no example is shown
_KINDS: dict[str, type] = {"object": dict, "array": list, "string": str, "null": type(None), "boolean": bool}
_PROBLEM = {
    "type": "urn:plumbline:problem:invalid-request",
    "title": "Unprocessable Content",
    "status": 422,
    "detail": "1 fault(s) in the request; the first: body.items.3.language: Field required",
    "instance": "5f0c1a2b3c4d",
    "errors": [{"place": "body.items.3.language", "message": "Field required"}],
}


def illustrate(document: Json, name: str) -> None:
    """Add the recorded examples of a contract to its document: to the operations, and to schemas without one."""
    recorded, schemas = load(name), document["components"]["schemas"]
    examples = _Examples(schemas)
    for operation in operations(document):
        recording = recorded.get(operation["operationId"], {})
        for part, content in contents(operation):
            for example in [recording[part]] if part in recording else examples.of(content.get("schema", {})):
                content["example"] = example
                for schema, shown in _described(content, example):
                    examples.take(schema, shown)
    for schema, example in recorded.get("schemas", {}).items():
        examples.take({"$ref": f"#/components/schemas/{schema}"}, example)
    examples.take({"$ref": "#/components/schemas/Problem"}, _PROBLEM)
    for schema in schemas.values():
        if "enum" in schema:
            schema.setdefault("examples", schema["enum"][:1])


def load(name: str) -> Json:
    """operationId -> {request, query, response}, and `schemas`: name -> example, for what no operation showed."""
    file = files(__package__).joinpath(f"{name}.json")
    return dict(json.loads(file.read_text("utf-8"))) if file.is_file() else {}


def operations(document: Json) -> Iterator[Json]:
    for methods in document["paths"].values():
        yield from methods.values()


def contents(operation: Json) -> Iterator[tuple[str, Json]]:
    """The body of the request, and that of the first success, where there is one."""
    successes = [one for status, one in sorted(operation["responses"].items()) if status.startswith("2")]
    for part, bodies in (("request", [operation.get("requestBody", {})]), ("response", successes)):
        found = [content for body in bodies for kind, content in body.get("content", {}).items() if kind not in BINARY]
        for content in found[:1]:
            yield part, content


def _described(content: Json, example: Any) -> Iterator[tuple[Json, Any]]:
    """What is described by a schema: the body, the data of the event that it shows, or each of its lines."""
    item = content.get("itemSchema")
    if item is None:
        yield content.get("schema", {}), example
    elif "$ref" in item:
        yield from ((item, json.loads(line)) for line in example.splitlines())
    else:
        data = next(line.removeprefix("data: ") for line in example.splitlines() if line.startswith("data: "))
        yield item["properties"]["data"]["contentSchema"], json.loads(data)


class _Examples:
    """Hands the parts of an example down to the schemas that they are examples of."""

    def __init__(self, schemas: Json) -> None:
        self.schemas = schemas

    def of(self, schema: Json) -> list[Any]:
        """Those that a model of ours gives itself."""
        return list(self.schemas[schema["$ref"].rpartition("/")[2]].get("examples", [])) if "$ref" in schema else []

    def take(self, schema: Json, value: Any) -> None:
        if "$ref" in schema:
            named = self.schemas[schema["$ref"].rpartition("/")[2]]
            named.setdefault("examples", [value])
            self.take({key: part for key, part in named.items() if key != "examples"}, value)
        for choice in schema.get("anyOf", []):
            if self._may_be(choice, value):
                self.take(choice, value)
                break
        if isinstance(value, list):
            for one in value:
                self.take(schema.get("items", {}), one)
        elif isinstance(value, dict):
            others = schema.get("additionalProperties")
            for key, one in value.items():
                part = schema.get("properties", {}).get(key, others)
                self.take(part if isinstance(part, dict) else {}, one)

    def _may_be(self, schema: Json, value: Any) -> bool:
        schema = self.schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        if not isinstance(value, _KINDS.get(schema.get("type", ""), object)):
            return False
        return not isinstance(value, dict) or set(schema.get("required", [])) <= set(value)
