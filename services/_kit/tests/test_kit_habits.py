"""What a contract declares and the kit does: ETags, Idempotency-Key, server-sent events that resume."""

import asyncio
import threading
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from plumbline_kit import idempotency
from plumbline_kit.client import ServiceClient, key_scope
from pydantic import BaseModel
from starlette.types import Receive


class Thing(BaseModel):
    name: str


def test_what_the_caller_has_is_not_sent_again(url: str) -> None:
    first = httpx.get(f"{url}/v1/things/a")
    tag = first.headers["etag"]
    assert tag.startswith('"') and first.json() == {"name": "a"}
    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = httpx.get(f"{url}/v1/things/a", headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["x-request-id"]
    other = httpx.get(f"{url}/v1/things/b", headers={"If-None-Match": tag})
    assert (other.status_code, other.json()) == (200, {"name": "b"})
    assert other.headers["etag"] != tag


def test_only_answers_that_declare_it_are_tagged(url: str) -> None:
    absent = httpx.get(f"{url}/v1/things/absent", headers={"If-None-Match": "*"})
    assert absent.status_code == 404
    for response in (absent, httpx.get(f"{url}/info")):
        assert "etag" not in response.headers


def work(url: str, name: str, key: str | None) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return httpx.post(f"{url}/v1/works", json={"name": name}, headers=headers)


def test_a_repeated_request_is_done_once(url: str) -> None:
    first, again = work(url, "a", "key"), work(url, "a", '"key"')
    assert first.json() == again.json() == {"name": "a 1"}
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert first.headers["x-request-id"] != again.headers["x-request-id"]
    assert work(url, "a", "another key").json() == {"name": "a 2"}
    assert work(url, "a", None).json() == {"name": "a 3"}


def test_what_is_posted_again_in_the_same_scope_gets_the_first_answer(url: str) -> None:
    async def post(scope: str | None, *names: str) -> list[str]:
        token = key_scope.set(scope)
        async with ServiceClient(url) as client:
            answers = [await client.call("POST", "/v1/works", Thing, Thing(name=name)) for name in names]
        key_scope.reset(token)
        return [answer.name for answer in answers]

    assert asyncio.run(post("attempt 1", "a", "a", "b")) == ["a 1", "a 1", "b 1"]
    assert asyncio.run(post("attempt 1", "a")) == ["a 1"]
    assert asyncio.run(post("attempt 2", "a")) == ["a 2"]
    assert asyncio.run(post(None, "a", "a")) == ["a 3", "a 4"]


def test_another_body_under_the_same_key_is_refused(url: str) -> None:
    work(url, "a", "key")
    refused = work(url, "b", "key")
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:plumbline:problem:key-reused")


def test_what_failed_is_not_remembered(url: str) -> None:
    assert work(url, "fails at first", "key").status_code == 503
    assert work(url, "fails at first", "key").json() == {"name": "fails at first 2"}


def test_a_request_that_is_too_large_is_refused_under_a_key_too(url: str) -> None:
    refused = httpx.post(f"{url}/v1/works", content=iter([b"a" * 2000]), headers={"Idempotency-Key": "key"})
    assert (refused.status_code, refused.json()["type"]) == (413, "urn:plumbline:problem:too-large")


def give_up(url: str, name: str) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/v1/works", json={"name": name}, headers={"Idempotency-Key": "key"}, timeout=0.3)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released by every repetition that waits for the first request."""
    count, wait = threading.Semaphore(0), idempotency._gone_before

    def counted(ended: asyncio.Event, receive: Receive) -> Awaitable[bool]:
        count.release()
        return wait(ended, receive)

    monkeypatch.setattr(idempotency, "_gone_before", counted)
    return count


@pytest.mark.parametrize(("name", "answer"), [("slow", "slow 1"), ("slow, fails", "slow, fails 2")])
def test_the_work_goes_on_when_its_caller_has_gone(
    url: str, app: Any, held: threading.Semaphore, name: str, answer: str
) -> None:
    """Whoever asks again gets what the first one paid for as soon as it is there; of a failure one does it anew."""
    give_up(url, name)
    give_up(url, name)
    with ThreadPoolExecutor() as threads:
        again = [threads.submit(work, url, name, "key") for _ in range(2)]
        for _ in range(3):  # one of which has gone
            assert held.acquire(timeout=20)
        app.state.may_end.set()
        assert [one.result(20).json() for one in again] == [{"name": answer}] * 2
    assert app.state.counts == {name: int(answer[-1])}


def test_who_asks_again_is_told_to_wait_when_it_takes_long(url: str, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "_HELD_S", 0.05)
    give_up(url, "slow")
    waiting = work(url, "slow", "key")
    app.state.may_end.set()
    assert (waiting.status_code, waiting.headers["retry-after"]) == (409, "1")
    assert waiting.json()["type"] == "urn:plumbline:problem:request-outstanding"


def test_the_oldest_answers_are_forgotten_when_there_are_too_many(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "_BYTES", 2500)  # room for two
    for key in ("1", "2", "3"):
        work(url, "a", key)
    assert [work(url, "a", key).json()["name"] for key in ("3", "2", "1")] == ["a 3", "a 2", "a 4"]


def test_a_stream_has_ids_resumes_and_is_kept_alive(url: str, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastapi.routing._PING_INTERVAL", 0.05)
    received: list[str] = []
    heard = threading.Event()

    def listen() -> None:
        with httpx.stream("GET", f"{url}/v1/ticks", headers={"Last-Event-ID": "1"}) as stream:
            for line in stream.iter_lines():
                received.append(line)
                if line.startswith(":"):
                    heard.set()

    async def watch() -> list[str]:
        async with ServiceClient(url) as client:
            return [thing.name async for thing in client.stream("/v1/ticks", Thing)]

    with ThreadPoolExecutor() as threads:
        listening, watching = threads.submit(listen), threads.submit(asyncio.run, watch())
        assert heard.wait(20), "no keep-alive came"
        app.state.may_end.set()
        listening.result(20)
        assert watching.result(20) == ["1", "2", "3"]
    assert [line for line in received if line.startswith("id:")] == ["id: 2", "id: 3"]
