"""What no schema can say about a coordinator. Nothing is started: what it is given is invalid."""

import hashlib
import uuid
from typing import Any

import pytest

UNKNOWN = f"/v1/experiments/conformance-{uuid.uuid4().hex}"
INVALID = "name: conformance\nlanguages: [en, 7]\narms: nothing\nno_such_key: 1\n"


@pytest.mark.parametrize("part", ["", "/events", "/responses", "/results", "/manifest", "/report"])
def test_an_unknown_id_is_a_problem(client: Any, part: str) -> None:
    """An experiment that nobody submitted is a 404, whatever is asked of it."""
    client.problem(404, "GET", UNKNOWN + part)


def test_an_unknown_id_cannot_be_cancelled(client: Any) -> None:
    """Cancelling an experiment that nobody submitted is a 404."""
    client.problem(404, "POST", f"{UNKNOWN}/cancel")


@pytest.mark.parametrize(("method", "path"), [("POST", "/v1/checks"), ("PUT", UNKNOWN)])
def test_every_fault_of_a_spec_is_told_with_its_place(client: Any, method: str, path: str) -> None:
    """An invalid experiment file is `invalid-spec` with every fault and its place at once."""
    problem = client.problem(422, method, path, {"spec": INVALID, "source": "conformance.yaml", "files": {}})
    assert problem["type"].endswith("invalid-spec")
    places = [error["place"] for error in problem["errors"]]
    for named in ("languages", "arms", "no_such_key"):
        assert any(named in place for place in places), f"{named} is wrong; told were {places}"
    assert all(error["message"] for error in problem["errors"])


def test_what_is_no_yaml_is_a_problem(client: Any) -> None:
    """A file that is no YAML is `invalid-spec`."""
    problem = client.problem(422, "POST", "/v1/checks", {"spec": "a: [", "source": "conformance.yaml", "files": {}})
    assert problem["type"].endswith("invalid-spec")


def test_an_invalid_spec_leaves_no_experiment(client: Any) -> None:
    """What was refused does not exist afterwards."""
    client.problem(422, "PUT", UNKNOWN, {"spec": INVALID, "source": "conformance.yaml", "files": {}})
    client.problem(404, "GET", UNKNOWN)


def test_a_file_is_kept_under_its_digest_and_no_other(client: Any) -> None:
    """Uploading twice is harmless; content of another digest is refused."""
    content = b"conformance\n"
    sha256 = hashlib.sha256(content).hexdigest()
    octets = {"Content-Type": "application/octet-stream"}
    for _ in range(2):
        response = client.put(f"/v1/files/{sha256}", content=content, headers=octets)
        assert (response.status_code, response.json()["sha256"]) == (200, sha256)
    wrong = client.put(f"/v1/files/{'0' * 64}", content=content, headers=octets)
    assert (wrong.status_code, wrong.json()["type"].rpartition(":")[2]) == (422, "digest-mismatch")


def test_an_unknown_field_is_refused(client: Any) -> None:
    """A misspelt option fails loudly."""
    client.problem(422, "POST", "/v1/checks", {"spec": INVALID, "specs": INVALID})
