"""What every service answers, whatever it does."""

from typing import Any

from plumbline_conformance.target import Target


def test_it_is_alive_and_ready(client: Any) -> None:
    assert client.ok("GET", "/livez")["status"] == "ok"
    assert client.ok("GET", "/readyz")["status"] == "ok"


def test_it_names_its_contract(client: Any, target: Target) -> None:
    name, _, version = client.ok("GET", "/info")["contract"].partition("/")
    assert name == target.service
    assert version.split(".")[0] == "1"


def test_an_unknown_path_is_a_problem(client: Any) -> None:
    client.problem(404, "GET", "/v1/no-such-thing")


def test_the_document_it_serves_is_of_this_contract(client: Any, target: Target) -> None:
    """Optional: a service need not serve its document, but a wrong one misleads."""
    response = client.get("/openapi.json")
    if response.is_success:
        assert response.json()["info"]["version"].split(".")[0] == "1"
