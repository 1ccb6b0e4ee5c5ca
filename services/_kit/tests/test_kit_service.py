"""What every service does because it is built on the kit."""

import asyncio
import json
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from plumbline_contracts.common import Info
from plumbline_kit import logs
from plumbline_kit.client import Interrupted, ServiceClient, Unreachable
from plumbline_kit.errors import ProblemError
from plumbline_kit.logs import request_id
from pydantic import BaseModel, SecretStr


class Thing(BaseModel):
    name: str


def problem(response: httpx.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "instance", "errors"}
    assert body["status"] == response.status_code
    assert body["instance"] == response.headers["x-request-id"]
    return dict(body)


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "kind"),
    [
        ("POST", "/v1/things", b'{"name": "a", "nmae": 1}', 422, "invalid-request"),
        ("POST", "/v1/things", b"{not json", 422, "invalid-request"),
        ("POST", "/v1/things", b"\xff\xfe", 422, "invalid-request"),
        ("POST", "/v1/things", b'{"name": "' + b"a" * 1000 + b'"}', 413, "too-large"),
        ("GET", "/v1/nothing", None, 404, "not-found"),
        ("PATCH", "/v1/things", None, 405, "method-not-allowed"),
        ("GET", "/v1/failures/wrong", None, 422, "wrong"),
        ("GET", "/v1/failures/crash", None, 500, "internal"),
    ],
)
def test_every_error_is_a_problem(
    url: str, method: str, path: str, content: bytes | None, status: int, kind: str
) -> None:
    headers = {"content-type": "application/json"}
    response = httpx.request(method, url + path, content=content, headers=headers)
    assert response.status_code == status
    assert problem(response)["type"] == f"urn:plumbline:problem:{kind}"


def test_a_body_that_hides_its_length_is_refused_too(url: str) -> None:
    response = httpx.post(f"{url}/v1/things", content=iter([b'{"name": "', b"a" * 2000, b'"}']))
    assert (response.status_code, problem(response)["type"]) == (413, "urn:plumbline:problem:too-large")


def test_every_fault_of_a_request_is_named(url: str) -> None:
    body = problem(httpx.post(f"{url}/v1/things", json={"nmae": 1}))
    assert [error["place"] for error in body["errors"]] == ["body.name", "body.nmae"]


def test_ready_only_when_it_can_work(url: str, small: Any) -> None:
    assert httpx.get(f"{url}/readyz").json() == {"status": "ok"}
    small.able = False
    response = httpx.get(f"{url}/readyz")
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert httpx.get(f"{url}/livez").status_code == 200


def test_a_token_is_asked_for_everywhere_but_on_probes(guarded_url: str) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        assert httpx.get(guarded_url + path).status_code == 200
    for token in (None, "Bearer wrong", "secret"):
        headers = {} if token is None else {"Authorization": token}
        response = httpx.get(f"{guarded_url}/info", headers=headers)
        assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert httpx.get(f"{guarded_url}/info", headers={"Authorization": "Bearer secret"}).status_code == 200


def test_metrics_count_by_route_and_not_by_path(url: str) -> None:
    httpx.get(f"{url}/v1/failures/some-id")
    text = httpx.get(f"{url}/metrics").text
    assert 'route="/v1/failures/{kind}"' in text or 'route="/failures/{kind}"' in text
    assert "some-id" not in text


def counted(url: str, route: str, status: int) -> int:
    """Requests that were answered so. The counts are the process's, whichever application answered."""
    label = f'route="{route}",status="{status}"'
    found = [line for line in httpx.get(f"{url}/metrics").text.splitlines() if "_requests_total{" in line]
    return sum(int(float(line.split()[-1])) for line in found if label in line)


def test_what_is_answered_on_the_way_to_a_route_counts_there(url: str, guarded_url: str) -> None:
    def post(to: str, content: bytes) -> int:
        headers = {"Idempotency-Key": "counted", "Content-Type": "application/json"}
        return httpx.post(f"{to}/v1/works", content=content, headers=headers).status_code

    asked = [
        (url, b'{"name": "counted"}', 200),
        (url, b'{"name": "counted"}', 200),
        (url, b'{"name": "other"}', 422),
        (url, b" " * 2000, 413),
        (guarded_url, b"", 401),
    ]
    before = {status: counted(url, "/v1/works", status) for _, _, status in asked}
    assert [post(to, content) for to, content, _ in asked] == [status for _, _, status in asked]
    added = {status: counted(url, "/v1/works", status) - count for status, count in before.items()}
    assert added == {200: 2, 422: 1, 413: 1, 401: 1}


def test_the_callers_request_id_is_carried_on_unless_it_is_odd(url: str) -> None:
    assert httpx.get(f"{url}/livez", headers={"X-Request-Id": "abc-123"}).headers["x-request-id"] == "abc-123"
    assert httpx.get(f"{url}/livez", headers={"X-Request-Id": "a b\tc"}).headers["x-request-id"] != "a b\tc"


def test_the_client_retries_what_may_pass_after_the_time_it_was_told(url: str) -> None:
    async def call() -> Thing:
        async with ServiceClient(url) as client:
            return await client.call("GET", "/v1/failures/busy", Thing)

    assert asyncio.run(call()).name == "3"


def test_the_client_raises_the_servers_problem(url: str) -> None:
    async def call() -> None:
        async with ServiceClient(url) as client:
            await client.call("GET", "/v1/failures/wrong", Thing)

    with pytest.raises(ProblemError) as caught:
        asyncio.run(call())
    assert (caught.value.kind, caught.value.detail) == ("wrong", "This is wrong.")


def test_the_client_says_when_an_answer_breaks_its_contract(url: str) -> None:
    async def call() -> None:
        async with ServiceClient(url) as client:
            await client.call("GET", "/livez", Thing)

    with pytest.raises(ProblemError) as caught:
        asyncio.run(call())
    assert (caught.value.kind, caught.value.status) == ("contract-broken", 500)
    assert "name: Field required" in caught.value.detail


def test_the_client_tells_down_from_broken_off() -> None:
    async def call(url: str) -> None:
        async with ServiceClient(url, attempts=1, timeout=0.3) as client:
            await client.send("GET", "/")

    with pytest.raises(Unreachable):
        asyncio.run(call("http://127.0.0.1:9"))
    with socket.socket() as silent, pytest.raises(Interrupted):
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # takes connections and never says a word
        asyncio.run(call(f"http://127.0.0.1:{silent.getsockname()[1]}"))
    with pytest.raises(Interrupted, match="took the request"):
        asyncio.run(_with_a_server_that_hangs_up(call))


async def _with_a_server_that_hangs_up(call: Callable[[str], Awaitable[None]]) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        await call("http://{}:{}".format(*server.sockets[0].getsockname()))


def test_the_client_sends_token_and_request_id(guarded_url: str) -> None:
    heads: list[str] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async def call() -> bytes:
        request_id.set("id-of-the-caller")
        async with await asyncio.start_server(note, "127.0.0.1", 0) as server:
            url = "http://{}:{}".format(*server.sockets[0].getsockname())
            async with ServiceClient(url, SecretStr("secret")) as client:
                return await client.send("GET", "/info")

    async def info() -> Info:
        async with ServiceClient(guarded_url, SecretStr("secret")) as client:
            return await client.call("GET", "/info", Info)

    assert asyncio.run(call()) == b"ok"
    assert "\r\nx-request-id: id-of-the-caller\r\n" in heads[0] and "\r\nauthorization: bearer secret\r\n" in heads[0]
    assert asyncio.run(info()).contract == "small/1.0.0"


def test_logs_are_json_lines_with_the_request_id(capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    try:
        logs.configure("small", "info")
        token = request_id.set("abc")
        logging.getLogger("x").info("hello", extra={"seconds": 1})
        request_id.reset(token)
    finally:
        root.handlers[:], root.level = before
    line = json.loads(capfd.readouterr().err.strip().splitlines()[-1])
    assert (line["message"], line["request_id"], line["service"], line["seconds"]) == ("hello", "abc", "small", 1)
