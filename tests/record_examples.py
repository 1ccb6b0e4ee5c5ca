"""Record examples for the OpenAPI documents: `python -m tests.record_examples [--all]`.

Starts the services without models, sends the example request of every operation, and keeps what they answer, cut
short, where the document has no example or one that no longer fits.
"""

import argparse
import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
from jsonschema import Draft202012Validator
from plumbline_contracts import examples
from plumbline_contracts.export import CONTRACTS, document

from tests.model_free import write_spec
from tests.services import MODEL_FREE
from tests.stack import Stack

FOLDER = Path(examples.__file__).parent
ID, FILE = "example", b"{}\n"
ITEMS, SHORT = 12, 2
Json = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="record everything anew")
    everything = parser.parse_args().all
    with tempfile.TemporaryDirectory() as folder, Stack(Path(folder) / "home", MODEL_FREE) as stack:
        spec = write_spec(Path(folder), ITEMS)
        stack.coordinator.submit(ID, spec).raise_for_status()
        stack.coordinator.finish(ID)
        for contract in CONTRACTS:
            record(contract, stack, everything)
    for contract in CONTRACTS:
        borrow(contract)


def record(contract: ModuleType, stack: Stack, everything: bool) -> None:
    known = examples.load(contract.NAME)
    wrong = {fault.split(":")[0] for fault in faults(contract)}
    for method, route, operation in routes(document(contract)):
        name = operation["operationId"]
        if everything or name in wrong:
            print(f"{contract.NAME} {name}")
            known[name] = ask(stack, contract.NAME, method, route, operation, known.get(name, {}))
    write(contract, known)


def borrow(contract: ModuleType) -> None:
    """Examples of schemas that no answer here showed, from a contract that shares them."""
    others = [document(other)["components"]["schemas"] for other in CONTRACTS if other is not contract]
    known = examples.load(contract.NAME)
    for name, schema in document(contract)["components"]["schemas"].items():
        if not schema.get("examples"):
            found = [there[name]["examples"][0] for there in others if there.get(name, {}).get("examples")]
            if found:
                known.setdefault("schemas", {})[name] = found[0]
    write(contract, known)


def write(contract: ModuleType, known: Json) -> None:
    text = json.dumps(known, indent=1, sort_keys=True, ensure_ascii=False)
    (FOLDER / f"{contract.NAME}.json").write_text(f"{text}\n", encoding="utf-8")


def routes(described: Json) -> Iterator[tuple[str, str, Json]]:
    for route, methods in described["paths"].items():
        for method, operation in methods.items():
            yield method, route, operation


def ask(stack: Stack, service: str, method: str, route: str, operation: Json, known: Json) -> Json:
    """The example of an operation: its request, and what the service answered."""
    example = {key: known[key] for key in ("request", "query") if key in known}
    body = request_of(stack, operation, known)
    if operation["operationId"] == "put_training":  # its data is no artifact here; a training shows the same answer
        method, body = "get", None
    path = route.replace("{id}", identifier(stack, service)).replace("{sha256}", hashlib.sha256(FILE).hexdigest())
    content = {"content": FILE} if "{sha256}" in route else {"json": body} if body is not None else {}
    with httpx.Client(base_url=stack.url(service), timeout=120, trust_env=False) as client:
        response = client.request(method, path, params=known.get("query"), **content)
    if not response.is_success:
        print(f"  {response.status_code}: {response.text[:500]}\n  kept as it was: write it by hand")
        return example | known
    if (text := response.text) == "":
        return example
    kind = response.headers["content-type"].partition(";")[0]
    if kind == "application/json":
        return example | {"response": shortened(response.json())}
    if kind == "application/jsonl":
        lines = text.splitlines(keepends=True)
        return example | {"response": lines[0] + lines[-1]}
    return example | {"response": text.split("\n\n")[0] + "\n\n" if kind == "text/event-stream" else text[:200]}


def request_of(stack: Stack, operation: Json, known: Json) -> Any:
    """The submission that was made, else the example that there is: recorded before, or in the model."""
    if operation["operationId"] in ("put_experiment", "check_experiment", "plan_experiment"):
        return stack.coordinator.submission(stack.home.parent / "model-free.yaml")
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    return known.get("request", content.get("example"))


def identifier(stack: Stack, service: str) -> str:
    return next((stack.home / "trainings").iterdir()).name if service == "trainer" else ID


def shortened(value: Any) -> Any:
    """The first elements of every list, at every depth."""
    if isinstance(value, dict):
        return {key: shortened(part) for key, part in value.items()}
    return [shortened(part) for part in value[:SHORT]] if isinstance(value, list) else value


def faults(contract: ModuleType) -> list[str]:
    """`operation or schema: what is wrong with its example`."""
    described = document(contract)
    schemas = described["components"]["schemas"]
    found = [f"{name}: no example" for name, schema in schemas.items() if not schema.get("examples")]
    for name, schema in schemas.items():
        for example in schema.get("examples", []):
            found += [f"{name}: {message}" for message in misfits(schema, example, schemas)]
    for _, _, operation in routes(described):
        name = operation["operationId"]
        for part, content in examples.contents(operation):
            if "example" not in content:
                found.append(f"{name}: no example of its {part}")
            elif "schema" in content:
                messages = misfits(content["schema"], content["example"], schemas)
                found += [f"{name}: {part} {message}" for message in messages]
    return found


def misfits(schema: Json, example: Any, schemas: Json) -> list[str]:
    validator = Draft202012Validator({**schema, "components": {"schemas": schemas}})
    return [f"{error.json_path} {error.message[:200]}" for error in validator.iter_errors(example)]


if __name__ == "__main__":
    main()
