"""Write contracts/openapi/*.json, or check that they are current.

Run `python -m plumbline_contracts.export [--check] FOLDER`.
"""

import argparse
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from . import analyzer, coordinator, generator, judge, libretranslate, openai, operations, trainer, translator
from .common import Problem
from .examples import illustrate
from .experiment import ExperimentSpec

CONTRACTS: tuple[ModuleType, ...] = (translator, generator, trainer, judge, analyzer, coordinator)


def document(contract: ModuleType) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a contract, as its services serve it too."""
    app = FastAPI(separate_input_output_schemas=False)
    app.include_router(contract.router)
    app.include_router(operations.router)
    openapi = get_openapi(
        title=f"Plumbline {contract.NAME}",
        version=contract.VERSION,
        description=contract.__doc__,
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    openapi["components"]["schemas"] |= {**problem.pop("$defs", {}), "Problem": problem}
    illustrate(openapi, contract.NAME)
    return openapi


def facade(contract: ModuleType) -> dict[str, Any]:
    """The document of routes in the shape of another API, beside the contract of the service that has them."""
    app = FastAPI(title=contract.NAME, version=contract.VERSION, description=contract.__doc__ or "")
    app.include_router(contract.router)
    return app.openapi()


def documents() -> dict[str, dict[str, Any]]:
    """File name -> document: one per service, those of other APIs, and the JSON schema of the experiment file."""
    exported = {f"{contract.NAME}.v{contract.VERSION.split('.')[0]}.json": document(contract) for contract in CONTRACTS}
    exported["generator.openai.json"] = facade(openai)
    exported["translator.libretranslate.json"] = facade(libretranslate)
    return exported | {"experiment.v1.schema.json": ExperimentSpec.model_json_schema()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a document is not current")
    arguments = parser.parse_args()
    stale = []
    for name, content in documents().items():
        path, text = arguments.folder / name, json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not arguments.check:
                path.write_text(text, encoding="utf-8")
    if stale and arguments.check:
        print(f"stale: {', '.join(stale)}; run `make contracts` and commit the result", file=sys.stderr)
    return 1 if stale and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
