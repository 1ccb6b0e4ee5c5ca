"""What becomes of requests that no service can do: broken, too large, too many."""

import copy
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from plumbline_conformance.specimens import Specimen
from plumbline_conformance.target import Target

AT_ONCE = 16
NO_JSON = {"cut off": b'{"items": [', "empty": b"", "no object": b'"items"', "no text": b'{"a": "\xff\xfe"}'}


@pytest.mark.parametrize("kind", NO_JSON)
def test_a_body_that_cannot_be_read_is_refused(client: Any, specimen: Specimen, kind: str) -> None:
    """A body that is not the JSON of a request is a 422 problem, never a 500 or a guess."""
    if specimen.body is None:
        pytest.skip("its requests with a body change state")
    answer = client.request(
        specimen.method, specimen.path, content=NO_JSON[kind], headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422, f"{answer.status_code}: {answer.text[:500]}"
    client.is_problem(answer)


def test_a_nul_character_is_refused(client: Any, specimen: Specimen) -> None:
    """A text with U+0000, which no PostgreSQL column can hold, is a 422 problem."""
    if specimen.body is None or specimen.items is None or specimen.text is None:
        pytest.skip("its requests with a body change state")
    body = copy.deepcopy(specimen.body)
    body[specimen.items][0][specimen.text] = "a\0b"
    client.problem(422, specimen.method, specimen.path, body)


@pytest.mark.parametrize("what", ["too many items", "a text too long"])
def test_more_than_the_contract_allows_is_refused(client: Any, specimen: Specimen, target: Target, what: str) -> None:
    """A request over a limit of the document is a 413 or 422 problem, not an answer to a part of it."""
    if specimen.items is None or specimen.text is None:
        pytest.skip("its requests have no list")
    body: dict[str, Any] = copy.deepcopy(specimen.body or {})
    items, maximum, longest = limits(target, specimen)
    (item,) = body[items]
    if what == "too many items":
        body[items] = [item | {"id": str(number)} for number in range(maximum + 1)]
    else:
        item[specimen.text] = "word " * (longest // 5 + 1)
    answer = specimen.send(client, body)
    assert answer.status_code in (413, 422), f"{answer.status_code}: {answer.text[:500]}"
    client.is_problem(answer)


def limits(target: Target, specimen: Specimen) -> tuple[str, int, int]:
    """The list of the request, how many items it may have, and how many characters the text of one."""
    document = json.loads(Path(target.document).read_text("utf-8"))
    schemas, operation = document["components"]["schemas"], document["paths"][specimen.path][specimen.method.lower()]
    assert specimen.items is not None and specimen.text is not None
    request = schemas[name(operation["requestBody"]["content"]["application/json"]["schema"])]
    listed = request["properties"][specimen.items]
    text = schemas[name(listed["items"])]["properties"][specimen.text]
    longest = [one["maxLength"] for one in (text, *text.get("anyOf", [])) if "maxLength" in one]
    return specimen.items, listed["maxItems"], longest[0]


def name(reference: dict[str, str]) -> str:
    return reference["$ref"].rpartition("/")[2]


def test_many_requests_at_once_are_answered_or_put_off(client: Any, specimen: Specimen) -> None:
    """Of requests at the same time each is answered, or refused with 429 or 503 and a Retry-After; none is lost."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: specimen.send(client), range(AT_ONCE)))
    for answer in answers:
        if answer.status_code in (429, 503):
            client.is_problem(answer)
            assert "retry-after" in answer.headers, f"{answer.status_code} without Retry-After"
        else:
            assert answer.status_code == specimen.status, f"{answer.status_code}: {answer.text[:500]}"
