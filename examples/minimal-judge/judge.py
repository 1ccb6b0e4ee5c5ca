"""A judge of your own, to copy: one file that answers contracts/openapi/judge.v1.json, sharing no code with Plumbline.

Yours to change is the first part, down to `score`; the rest is the contract. `python judge.py` listens on HOST, PORT.
"""

import os
from typing import Annotated, Any, Literal

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

INFO = {
    "contract": "judge/1.1.0",
    "implementation": "minimal",
    "version": "1",
    "model": None,  # the name of the model that judges; null says that there is none
    "revision": None,
    "description": "Looks at the last character of a response and counts its words. No model, no measure of quality.",
}
RUBRIC, RUBRIC_VERSION = "form", "1"  # a new version for every change that can change a score
ASPECTS = {
    "ending": "5: the last character ends a sentence or a code block. 1: it does not.",
    "length": "5: up to 100 words; one less for every 100 words more, down to 1.",
}


def score(instruction: str, response: str, language: str, reference: str | None) -> dict[str, tuple[float | str, str]]:
    """By aspect: a score from 1 to 5 and the reason for it, or the cause why there is none and what happened."""
    if not (text := response.rstrip(" \r\n\t\"'»”)*_")):
        return dict.fromkeys(ASPECTS, ("not_applicable", "the response is empty"))
    words = len(response.split())
    return {
        "ending": (5.0 if text[-1] in ".!?…。！？`" else 1.0, f"ends in {text[-1]!r}"),
        "length": (float(max(1, 5 - max(0, words - 1) // 100)), f"{words} words"),
    }


# --- The contract: what is asked, how it is answered. The limits are those of the OpenAPI document. ---

OF_A_MODEL = {"raw_reply": None, "repair": None}  # of a judge that asks a model: its words, and whether asked twice
OF_A_MODELS_SCORE = {"stated": None, "confidence": None}
NO_NUL = r"^[^\x00]*$"
Name = Annotated[str, Field(min_length=1, max_length=100)]
Text = Annotated[str, Field(max_length=400_000, pattern=NO_NUL)]


class Asked(BaseModel, extra="forbid"):
    id: Annotated[str, Field(min_length=1, max_length=200, pattern=NO_NUL)]
    instruction: Annotated[str, Field(max_length=200_000, pattern=NO_NUL)]
    language: Annotated[str, Field(pattern="^[a-z]{2,3}$")]
    reference: Text | None = None


class Item(Asked):
    response: Text


class Pair(Asked):
    response_a: Text
    response_b: Text


class JudgmentRequest(BaseModel, extra="forbid"):
    rubric: Name
    rubric_language: Literal["en", "response"] = "en"  # for rubrics in words
    items: Annotated[list[Item], Field(min_length=1, max_length=64)]


class ComparisonRequest(BaseModel, extra="forbid"):
    rubric: Name
    rubric_language: Literal["en", "response"] = "en"  # for rubrics in words
    both_orders: bool = True
    items: Annotated[list[Pair], Field(min_length=1, max_length=64)]


app = FastAPI(title="A minimal judge", version="1.0.0")


@app.post("/v1/judgments")
def judge(request: JudgmentRequest) -> dict[str, Any]:
    judgments = [{"id": item.id, "scores": scores(item, item.response), **OF_A_MODEL} for item in request.items]
    return {"judgments": judgments} | named(request.rubric) | {"compat": None}


@app.post("/v1/comparisons")
def compare(request: ComparisonRequest) -> dict[str, Any]:
    comparisons = [comparison(pair) | {"orders": []} for pair in request.items]
    return {"comparisons": comparisons, "order_effect": None} | named(request.rubric)


def scores(item: Asked, response: str) -> list[dict[str, Any]]:
    """One entry per aspect, in the rubric's order: a score, or the cause why there is none, never both."""
    found = score(item.instruction, response, item.language, item.reference)
    return [entry(aspect, *found[aspect]) for aspect in ASPECTS]


def entry(aspect: str, value: float | str, reason: str) -> dict[str, Any]:
    if isinstance(value, str):
        unscored = {"cause": value, "detail": reason}
        return {"aspect": aspect, "score": None, "rationale": None, "unscored": unscored} | OF_A_MODELS_SCORE
    return {"aspect": aspect, "score": value, "rationale": reason, "unscored": None} | OF_A_MODELS_SCORE


def comparison(pair: Pair) -> dict[str, Any]:
    """By the mean score. A pair of which one cannot be scored is `unscored`, which is not a tie."""
    sides = [scores(pair, response) for response in (pair.response_a, pair.response_b)]
    missing = next((one["unscored"] for side in sides for one in side if one["unscored"]), None)
    if missing:
        return {"id": pair.id, "verdict": "unscored", "rationale": None, "unscored": missing}
    a, b = (sum(one["score"] for one in side) / len(side) for side in sides)
    verdict = "tie" if a == b else "a" if a > b else "b"
    return {"id": pair.id, "verdict": verdict, "rationale": f"means {a:g} and {b:g}", "unscored": None}


def named(rubric: str) -> dict[str, str]:
    if rubric != RUBRIC:
        raise HTTPException(422, f"There is no rubric {rubric!r} here; there is {RUBRIC}.")
    return {"rubric": RUBRIC, "rubric_version": RUBRIC_VERSION}


@app.get("/v1/rubrics")
def rubrics() -> dict[str, Any]:
    aspects = [{"name": name, "description": description} for name, description in ASPECTS.items()]
    rubric = {"name": RUBRIC, "version": RUBRIC_VERSION, "languages": ["en"], "compat": None}
    return {"rubrics": [rubric | {"aspects": aspects}]}


@app.get("/info")
def info() -> dict[str, Any]:
    return INFO


@app.get("/livez")
@app.get("/readyz")
def healthy() -> dict[str, str]:
    return {"status": "ok"}


@app.exception_handler(HTTPException)
@app.exception_handler(RequestValidationError)
@app.exception_handler(Exception)
def refuse(_: Request, error: Exception) -> JSONResponse:
    """Every error is one `application/problem+json` (RFC 9457)."""
    status, kind, detail, faults, headers = 500, "internal", "The judge failed; see its log.", [], None
    if isinstance(error, RequestValidationError):
        faults = [{"place": ".".join(map(str, one["loc"])), "message": one["msg"]} for one in error.errors()]
        status, kind, detail = 422, "invalid-request", f"{faults[0]['place']}: {faults[0]['message']}"
    elif isinstance(error, HTTPException):
        status, detail, headers = error.status_code, error.detail, error.headers
        kind = {400: "invalid-request", 422: "unknown-rubric"}.get(status, f"http-{status}")
        status = 422 if status == 400 else status  # a body that is no text; the contract calls every wrong request 422
    body = {"type": f"urn:plumbline:problem:{kind}", "title": kind, "status": status, "detail": detail}
    body |= {"instance": None, "errors": faults}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


if __name__ == "__main__":
    uvicorn.run(app, host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "9004")))
