"""The service under test, as its client sees it."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from plumbline_conformance.plugin import INFO, RECORD
from plumbline_conformance.record import Record
from plumbline_conformance.specimens import SPECIMENS, Specimen
from plumbline_conformance.target import Target

PROBLEM = "application/problem+json"


class Client(httpx.Client):
    """Requests to the service, with the checks that most tests need."""

    record: Record

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        started, status = time.perf_counter(), None
        try:
            response = super().send(request, **options)
            status = response.status_code
            return response
        finally:
            seconds = time.perf_counter() - started
            body = request.read()
            self.record.note(request.method, str(request.url), request.headers, body, status, seconds)

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a successful answer."""
        response = self.request(method, path, json=body)
        assert response.is_success, f"{method} {path} answered {response.status_code}: {response.text[:500]}"
        return response.json()

    def problem(self, status: int, method: str, path: str, body: Any = None) -> Any:
        """The problem document of a refusal with this status."""
        response = self.request(method, path, json=body)
        assert response.status_code == status, f"{method} {path}: {response.status_code}: {response.text[:500]}"
        return self.is_problem(response)

    def is_problem(self, response: httpx.Response) -> Any:
        """The problem document, checked, that this answer is."""
        media_type = response.headers.get("content-type", "").partition(";")[0]
        assert media_type == PROBLEM, f"{response.status_code} is told as {media_type!r}, not as {PROBLEM}"
        problem = response.json()
        assert problem["status"] == response.status_code
        assert isinstance(problem["type"], str) and problem["type"]
        assert isinstance(problem["detail"], str) and problem["detail"]
        return problem


@pytest.fixture(scope="session")
def target() -> Target:
    return Target.from_environment()


@pytest.fixture(scope="session")
def record(pytestconfig: pytest.Config) -> Record:
    return pytestconfig.stash[RECORD]


@pytest.fixture(scope="session")
def client(target: Target, pytestconfig: pytest.Config, record: Record) -> Iterator[Client]:
    with Client(base_url=target.url, headers=target.headers, timeout=120, trust_env=False) as client:
        client.record = record
        info = client.get("/info")
        if info.is_success and isinstance(found := info.json(), dict):
            pytestconfig.stash[INFO] = found
        yield client


@pytest.fixture(scope="session")
def specimen(client: Client, target: Target) -> Specimen:
    return SPECIMENS[target.service](client, target.model)
