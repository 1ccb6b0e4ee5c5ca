"""Opaque cursors: the position after which the next page of a list begins."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

from plumbline_contracts.common import Place

from .errors import ProblemError

Position = Sequence[str | int]


def encode(position: Position) -> str:
    return urlsafe_b64encode(json.dumps(list(position), separators=(",", ":")).encode()).decode().rstrip("=")


def decode(cursor: str, *kinds: type[str] | type[int]) -> list[str | int]:
    """The position, whose parts are of these types; the problem `invalid-request` if the cursor is none of ours."""
    try:
        position = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        position = None
    if not isinstance(position, list) or [type(part) for part in position] != list(kinds):
        message = "must be the `next` of a page of the same list"
        raise ProblemError(
            422, "invalid-request", f"after {message}.", errors=[Place(place="query.after", message=message)]
        )
    return position
