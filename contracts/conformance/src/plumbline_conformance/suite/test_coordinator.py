"""What no schema can say about a coordinator. Nothing is started: what it is given is invalid."""

import hashlib
import uuid
from typing import Any
from urllib.parse import urlencode

import pytest

UNKNOWN = f"/v1/experiments/conformance-{uuid.uuid4().hex}"
INVALID = "name: conformance\nlanguages: [en, 7]\narms: nothing\nno_such_key: 1\n"


@pytest.mark.parametrize("part", ["", "/events", "/responses", "/results", "/manifest", "/report"])
def test_an_unknown_id_is_a_problem(client: Any, part: str) -> None:
    """An experiment that nobody submitted is a 404, whatever is asked of it."""
    client.problem(404, "GET", UNKNOWN + part)


@pytest.mark.parametrize("what", ["cancel", "pause", "resume", "retry"])
def test_an_unknown_id_cannot_be_changed(client: Any, what: str) -> None:
    """Cancelling, pausing, resuming or retrying an experiment that nobody submitted is a 404."""
    client.problem(404, "POST", f"{UNKNOWN}/{what}")


def test_a_limit_must_leave_room_for_something(client: Any) -> None:
    """A limit of nothing, or of something that is not counted, is refused."""
    for limits in ({"calls": 0}, {"tokens": -1}, {"hours": 0}, {"dollars": 1}):
        client.problem(422, "POST", f"{UNKNOWN}/resume", {"limits": limits})


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


def test_pages_of_experiments_do_not_overlap(client: Any) -> None:
    """Pages by `after` list every experiment once, newest first."""
    seen: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    for _ in range(5):
        page = client.ok("GET", "/v1/experiments?" + urlencode({"limit": 1} | after))
        seen += page["experiments"]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    ids = [one["id"] for one in seen]
    assert len(ids) == len(set(ids))
    assert [one["created"] for one in seen] == sorted((one["created"] for one in seen), reverse=True)


@pytest.mark.parametrize("query", ["after=no-cursor", "limit=0", "state=unheard-of", "no_such_filter=1"])
def test_a_wrong_query_is_a_problem(client: Any, query: str) -> None:
    """A cursor of no page, a wrong value and an unknown filter are refused."""
    client.problem(422, "GET", f"/v1/experiments?{query}")


def test_what_the_caller_has_is_not_sent_again(client: Any) -> None:
    """An experiment has a strong ETag, and If-None-Match gets 304 while it has not changed."""
    ended = client.ok("GET", "/v1/experiments?limit=1&state=completed")["experiments"]
    if not ended:
        pytest.skip("no experiment has completed there")
    path = f"/v1/experiments/{ended[0]['id']}"
    tag = client.get(path).headers["etag"]
    assert tag.startswith('"')
    assert client.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
