"""Every answer is as the OpenAPI document says, to good requests and to bad ones."""

import json
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from plumbline_conformance.target import Target
from schemathesis import GenerationMode, checks

TARGET = Target.from_environment()
LONG = 1000


def without_long_limits(part: Any) -> Any:
    """The document without its limits on long texts: random texts of a million characters take minutes to make."""
    if isinstance(part, list):
        return [without_long_limits(each) for each in part]
    if not isinstance(part, dict):
        return part
    long = isinstance(part.get("maxLength"), int) and part["maxLength"] > LONG
    return {name: without_long_limits(each) for name, each in part.items() if not (long and name == "maxLength")}


SCHEMA = schemathesis.openapi.from_dict(without_long_limits(json.loads(Path(TARGET.document).read_text("utf-8"))))
# Not asked: that whatever the schema allows be accepted. A rubric or a model by that name need not exist.
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
]


@pytest.fixture(scope="session")
def existing(client: Any, target: Target) -> dict[str, Any]:
    """Names that the service knows. Random ones would never get past the first look at a request."""
    match target.service:
        case "judge":
            return {"rubric": client.ok("GET", "/v1/rubrics")["rubrics"][0]["name"]}
        case "translator":
            pairs = client.ok("GET", "/v1/languages")["pairs"]
            return {"source": pairs[0]["source"], "target": pairs[0]["target"]} if pairs else {}
        case "generator":
            models = client.ok("GET", "/v1/models")["models"]
            few = {"max_new_tokens": 2, "stop": ["\n"]}
            return {"model": target.model or models[0]["name"], "decoding": few} if target.model or models else {}
    return {}


@SCHEMA.parametrize()
@settings(max_examples=TARGET.examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_answers_as_documented(case: schemathesis.Case[Any], existing: dict[str, Any]) -> None:
    valid = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
    if valid and isinstance(case.body, dict):
        case.body |= {name: value for name, value in existing.items() if name in case.body}
    response = case.call(base_url=TARGET.url, headers=TARGET.headers, timeout=120)
    # A reader may take "7" for 7 or false for 0, as many do; a missing, unknown or excessive value it must refuse.
    wrong_type = case.meta is not None and "Incorrect type" in (case.meta.phase.data.description or "")
    more = [] if wrong_type else [checks.negative_data_rejection]
    case.validate_response(response, checks=CHECKS + more, headers=TARGET.headers)
