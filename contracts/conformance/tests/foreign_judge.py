"""A judge that shares no code with ours: it scores 5 for a response that ends in a full stop, 3 for another.

`--spoil` breaks one promise of the contract. Run `python foreign_judge.py PORT [--spoil WHAT]`.
"""

import argparse
import json
import re
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from uvicorn import run

SPOILINGS = ("case", "error_body", "order", "guess", "unknown_field")
ASPECT = {"name": "full-stop", "description": "5: ends in a full stop; 3: does not."}
RUBRIC = {"name": "full-stop", "version": "1", "aspects": [ASPECT]}
LIMITS = {"id": 200, "instruction": 200_000, "language": 3}
TEXT = 400_000
spoiled = ""


class Wrong(Exception):
    """A request that the contract does not allow: what is wrong, and the kind of problem."""


def checked(body: Any, responses: tuple[str, ...]) -> list[dict[str, str]]:
    """The items of a request, every one of them as the contract says."""
    known = {"id", "instruction", "language", "reference", *responses}
    require(isinstance(body, dict) and body.keys() >= {"rubric", "items"}, "give rubric and items")
    require(len(body) == 2 or spoiled == "unknown_field", "there is a field too many")
    require(isinstance(body["rubric"], str) and 1 <= len(body["rubric"]) <= 100, "rubric is a name")
    items = body["items"]
    require(isinstance(items, list) and 1 <= len(items) <= 64, "give 1 to 64 items")
    for item in items:
        require(isinstance(item, dict) and known >= item.keys() >= known - {"reference"}, f"an item has {known}")
        texts = {name: text for name, text in item.items() if not (name == "reference" and text is None)}
        require(all(isinstance(text, str) for text in texts.values()), "an item is made of texts")
        require(all("\0" not in text and len(text) <= LIMITS.get(name, TEXT) for name, text in texts.items()), "text")
        require(bool(item["id"]) and re.fullmatch("[a-z]{2,3}", item["language"]) is not None, "id or language")
    require(body["rubric"] == RUBRIC["name"], "There is one rubric, full-stop.", "unknown-rubric")
    return items


def require(holds: bool, detail: str, kind: str = "invalid-request") -> None:
    if not holds:
        raise Wrong(detail, kind)


async def judge(request: Request) -> JSONResponse:
    items = checked(await request.json(), ("response",))
    judgments = [{"id": item["id"], "scores": [score(item["response"])], "raw_reply": None} for item in items]
    if spoiled == "order":
        judgments.reverse()
    return JSONResponse({"judgments": judgments, "rubric": "full-stop", "rubric_version": "1"})


def score(response: str) -> dict[str, Any]:
    if not response.strip():
        unscored = {"cause": "not_applicable", "detail": "the response is empty"}
        guessed = 3.0 if spoiled == "guess" else None
        return {"aspect": "full-stop", "score": guessed, "rationale": None, "unscored": unscored}
    points = 5.0 if response.rstrip().endswith(".") else 3.0
    return {"aspect": "full-stop", "score": points, "rationale": None, "unscored": None}


async def compare(request: Request) -> JSONResponse:
    items = checked(await request.json(), ("response_a", "response_b"))
    comparisons = [comparison(item) for item in items]
    return JSONResponse({"comparisons": comparisons, "rubric": "full-stop", "rubric_version": "1"})


def comparison(item: dict[str, str]) -> dict[str, Any]:
    a, b = (score(item[name])["score"] for name in ("response_a", "response_b"))
    if (a is None or b is None) and spoiled != "guess":
        unscored = {"cause": "not_applicable", "detail": "a response is empty"}
        return {"id": item["id"], "verdict": "unscored", "rationale": None, "unscored": unscored}
    verdict = "tie" if a == b else "a" if a > b else "b"
    verdict = verdict.upper() if spoiled == "case" else verdict
    return {"id": item["id"], "verdict": verdict, "rationale": None, "unscored": None}


async def rubrics(_: Request) -> JSONResponse:
    return JSONResponse({"rubrics": [RUBRIC]})


async def info(_: Request) -> JSONResponse:
    who = {"contract": "judge/1.0.0", "implementation": "foreign", "version": "1", "model": None, "revision": None}
    return JSONResponse(who | {"description": "Looks for a full stop."})


async def healthy(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def refuse(_: Request, error: Exception) -> JSONResponse:
    """RFC 9457, whatever was wrong."""
    status, kind, detail, headers = 422, "invalid-request", str(error), None
    if isinstance(error, HTTPException):
        status, kind, detail, headers = error.status_code, "http", error.detail, error.headers
    elif isinstance(error, Wrong):
        detail, kind = error.args
    if spoiled == "error_body":
        return JSONResponse({"error": detail}, status, headers)
    body = {"type": kind, "title": kind, "status": status, "detail": detail, "instance": None, "errors": []}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def create_app() -> Starlette:
    return Starlette(
        routes=[
            Route("/v1/judgments", judge, methods=["POST"]),
            Route("/v1/comparisons", compare, methods=["POST"]),
            Route("/v1/rubrics", rubrics),
            Route("/info", info),
            Route("/livez", healthy),
            Route("/readyz", healthy),
        ],
        exception_handlers={kind: refuse for kind in (HTTPException, Wrong, json.JSONDecodeError, UnicodeDecodeError)},
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--spoil", choices=SPOILINGS, default="")
    arguments = parser.parse_args()
    spoiled = arguments.spoil
    run(create_app(), host="127.0.0.1", port=arguments.port, log_level="error")
