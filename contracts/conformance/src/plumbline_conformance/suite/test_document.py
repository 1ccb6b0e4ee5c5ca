"""Every answer is as the OpenAPI document says, to good requests and to bad ones."""

import json
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from plumbline_conformance.record import Record
from plumbline_conformance.specimens import Specimen
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
# Making strategies for every operation takes seconds, so there is one where nothing is generated.
SELECTED = SCHEMA if TARGET.examples else SCHEMA.include(path="/livez")
# Not asked: that whatever the schema allows be accepted. A rubric or a model by that name need not exist.
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
]


def test_a_good_request_is_answered_as_documented(client: Any, specimen: Specimen, record: Record) -> None:
    """Status, media type and body of the answer to an ordinary request are those of the document."""
    answer = specimen.send(client)
    SCHEMA[record.template(specimen.path)][specimen.method].validate_response(answer)
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    assert media_type == ("application/json" if answer.is_success else "application/problem+json"), media_type


@pytest.fixture(scope="session")
def existing(specimen: Specimen) -> dict[str, Any]:
    """Names that the service knows. Random ones would never get past the first look at a request."""
    few = {"decoding": {"max_new_tokens": 2, "stop": ["\n"]}}
    body = (specimen.body or {}) | (few if specimen.path == "/v1/generations" else {})
    return {name: value for name, value in body.items() if name != specimen.items}


@pytest.mark.skipif(not TARGET.examples, reason="no generated requests were asked for")
@SELECTED.parametrize()
@settings(
    max_examples=max(1, TARGET.examples), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
def test_answers_as_documented(
    case: schemathesis.Case[Any], existing: dict[str, Any], record: Record, target: Target
) -> None:
    """Generated requests, right and wrong: each answer is of the document, and what it forbids is refused."""
    valid = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
    if valid and isinstance(case.body, dict):
        case.body |= {name: value for name, value in existing.items() if name in case.body}
    response = case.call(base_url=target.url, headers=target.headers, timeout=120)
    asked = response.request
    sent = asked.body.encode() if isinstance(asked.body, str) else asked.body
    headers = {name: str(value) for name, value in asked.headers.items()}
    body = sent if isinstance(sent, bytes) else b""
    record.note(asked.method or "", asked.url or "", headers, body, response.status_code, response.elapsed)
    # A reader may take "7" for 7 or false for 0, as many do; a missing, unknown or excessive value it must refuse.
    wrong_type = case.meta is not None and "Incorrect type" in (case.meta.phase.data.description or "")
    more = [] if wrong_type else [checks.negative_data_rejection]
    case.validate_response(response, checks=CHECKS + more, headers=target.headers)
