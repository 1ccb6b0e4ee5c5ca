"""The service under test, as its client sees it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from plumbline_conformance.target import Target

PROBLEM = "application/problem+json"


class Client(httpx.Client):
    """Requests to the service, with the two checks that most tests need."""

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a successful answer."""
        response = self.request(method, path, json=body)
        assert response.is_success, f"{method} {path} answered {response.status_code}: {response.text[:500]}"
        return response.json()

    def problem(self, status: int, method: str, path: str, body: Any = None) -> Any:
        """The problem document of a refusal with this status."""
        response = self.request(method, path, json=body)
        assert response.status_code == status, f"{method} {path}: {response.status_code}: {response.text[:500]}"
        assert response.headers["content-type"].partition(";")[0] == PROBLEM
        problem = response.json()
        assert problem["status"] == status
        assert isinstance(problem["type"], str) and problem["type"]
        assert isinstance(problem["detail"], str) and problem["detail"]
        return problem


@pytest.fixture(scope="session")
def target() -> Target:
    return Target.from_environment()


@pytest.fixture(scope="session")
def client(target: Target) -> Iterator[Client]:
    with Client(base_url=target.url, headers=target.headers, timeout=120, trust_env=False) as client:
        yield client
