"""What every service answers, whatever it does: health, identity, errors."""

import json
from pathlib import Path
from typing import Any

import pytest
from plumbline_conformance.specimens import Specimen
from plumbline_conformance.target import Target

NO_NAMES = {"", "none", "null", "n/a", "unknown", "-"}


def test_it_is_alive_and_ready(client: Any) -> None:
    """`/livez` and `/readyz` answer 200 with `{"status": "ok"}`."""
    assert client.ok("GET", "/livez")["status"] == "ok"
    assert client.ok("GET", "/readyz")["status"] == "ok"


def test_it_says_that_it_is_not_ready_until_it_is(target: Target, specimen: Specimen) -> None:
    """While it starts, `/readyz` answers 503 with a problem; with the first 200 it does its work."""
    if target.startup is None:
        pytest.skip("it was started before; give --start COMMAND to have its start watched")
    *before, ready, worked = json.loads(Path(target.startup).read_text("utf-8"))
    for seen in before:
        assert (seen["status"], seen["media_type"]) == (503, "application/problem+json"), seen
    assert ready["status"] == 200
    assert worked["status"] == specimen.status, f"ready, and yet {worked['path']} answered {worked['status']}"


def test_it_names_its_contract(client: Any, target: Target) -> None:
    """`/info` names the contract of this service in the version of the document."""
    name, _, version = client.ok("GET", "/info")["contract"].partition("/")
    assert name == target.service
    assert version.split(".")[0] == document_version(target).split(".")[0]


def test_it_says_who_it_is(client: Any) -> None:
    """`/info` names implementation and version, describes itself, and names its model or says null."""
    info = client.ok("GET", "/info")
    for field in ("implementation", "version", "description"):
        assert isinstance(info[field], str) and info[field].strip(), f"{field} is {info[field]!r}"
    for field in ("model", "revision"):
        value = info[field]
        assert value is None or value.strip().lower() not in NO_NAMES, f"{field} is {value!r}; null says none"


def test_it_stays_who_it_is(client: Any, specimen: Specimen) -> None:
    """`/info` is the same before and after work: scores of two implementations must not be mixed unnoticed."""
    before = client.ok("GET", "/info")
    specimen.send(client)
    assert client.ok("GET", "/info") == before


def test_an_unknown_path_is_a_problem(client: Any) -> None:
    """What is not there is a 404 as `application/problem+json`."""
    client.problem(404, "GET", "/v1/no-such-thing")


def test_the_document_it_serves_is_of_this_contract(client: Any, target: Target) -> None:
    """A service need not serve its OpenAPI document, but a wrong one misleads."""
    response = client.get("/openapi.json")
    if not response.is_success:
        pytest.skip("it serves no /openapi.json, and need not")
    assert response.json()["info"]["version"].split(".")[0] == document_version(target).split(".")[0]


def document_version(target: Target) -> str:
    version: str = json.loads(Path(target.document).read_text("utf-8"))["info"]["version"]
    return version
