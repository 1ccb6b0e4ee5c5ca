"""Problems as OpenAI's API tells them: what its clients branch on is `code`."""

from typing import Any

from .common import Problem

_CODES = {
    "unknown-model": "model_not_found",
    "unauthorized": "invalid_api_key",
    "context-length-exceeded": "context_length_exceeded",
}


def refusal(problem: Problem) -> tuple[int, dict[str, Any]]:
    """Status and body with which OpenAI would tell it."""
    kind = problem.type.rpartition(":")[2]
    status = {"unknown-model": 404}.get(kind, 400 if problem.status == 422 else problem.status)
    types = {401: "authentication_error", 429: "rate_limit_error"}
    named = problem.errors[0].place.removeprefix("body.") if problem.errors else None
    error = {
        "message": problem.detail,
        "type": types.get(status, "invalid_request_error" if status < 500 else "server_error"),
        "param": "model" if kind == "unknown-model" else named,
        "code": _CODES.get(kind, kind),
    }
    return status, {"error": error}
