"""Every error leaves a service as one `application/problem+json` body (RFC 9457)."""

import logging
from collections.abc import Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from plumbline_contracts.common import Place, Problem
from starlette.exceptions import HTTPException

from .logs import request_id

log = logging.getLogger(__name__)
PREFIX = "urn:plumbline:problem:"
_KINDS = {413: "too-large", 422: "invalid-request"}


class ProblemError(Exception):
    """An error on purpose. `kind` is the stable code that clients branch on, without its prefix."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Sequence[Place] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.errors, self.retry_after = list(errors), retry_after

    def __str__(self) -> str:
        return " ".join([self.detail, *(f"[{error.place}: {error.message}]" for error in self.errors)])


def describe(error: Exception) -> Problem:
    """The body that tells this error. One that is not on purpose is logged, and told without its cause."""
    if not isinstance(error, ProblemError):
        log.error("unexpected error", exc_info=error)
        error = ProblemError(500, "internal", "The service failed; its log has the cause under this request id.")
    return Problem(
        type=PREFIX + error.kind,
        title=HTTPStatus(error.status).phrase,
        status=error.status,
        detail=error.detail,
        instance=request_id.get(),
        errors=error.errors,
    )


def respond(error: Exception) -> JSONResponse:
    body, retry_after = describe(error), getattr(error, "retry_after", None)
    headers = {} if retry_after is None else {"Retry-After": str(max(1, round(retry_after)))}
    return JSONResponse(body.model_dump(), body.status, headers, media_type="application/problem+json")


async def _on_problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)
    return respond(error)


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    places = [Place(place=".".join(map(str, fault["loc"])), message=fault["msg"]) for fault in error.errors()]
    detail = f"{len(places)} fault(s) in the request; the first: {places[0].place}: {places[0].message}"
    return respond(ProblemError(422, "invalid-request", detail, errors=places))


def respond_http(error: HTTPException) -> JSONResponse:
    # Starlette's only 400 is a body that is no JSON text at all; the contracts call every wrong request 422.
    status = 422 if error.status_code == 400 else error.status_code
    kind = _KINDS.get(status) or HTTPStatus(status).phrase.lower().replace(" ", "-")
    response = respond(ProblemError(status, kind, str(error.detail)))
    response.headers.update(error.headers or {})
    return response


async def _on_http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return respond_http(error)


def install(app: FastAPI) -> None:
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
