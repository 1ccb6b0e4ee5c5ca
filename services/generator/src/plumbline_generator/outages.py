"""What an inference server does to everybody, as problems: away, too slow, or closed to us."""

from plumbline_kit.errors import ProblemError

_ASK_AGAIN_S, _MENDED_BY_PEOPLE_S = 5, 30
_BUSY_OR_AWAY = frozenset({429, 502, 503})  # not taken; 502 comes from what stands before the server
_TOO_SLOW = 504  # from what stands before the server, which took it
_NOT_ALLOWED = frozenset({401, 403})


def by_status(status: int, said: str) -> ProblemError | None:
    """What an answer's status means for everybody; None where it is about this prompt, or not known."""
    if status in _BUSY_OR_AWAY:
        return unavailable(said)
    if status == _TOO_SLOW:
        return too_slow(said)
    if status in _NOT_ALLOWED:
        return not_allowed(said)
    if status == 404:
        return ProblemError(422, "backend-refused", f"The inference server does not have it: {said}")
    return None


def is_not_allowed(status: int) -> bool:
    return status in _NOT_ALLOWED


def without_password(url: str) -> str:
    """The address of a server, without the user name or password that its URL may have."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def unavailable(detail: str) -> ProblemError:
    detail = f"The inference server is away or busy: {detail}"
    return ProblemError(503, "backend-unavailable", detail, retry_after=_ASK_AGAIN_S)


def too_slow(detail: str) -> ProblemError:
    """A status that is tried a few times: the server took the request and did not finish it."""
    detail = f"The inference server took a completion and did not end it in time: {detail}"
    return ProblemError(504, "backend-timeout", f"{detail} GENERATOR_BACKEND_TIMEOUT_SECONDS is how long we wait.")


def not_allowed(detail: str) -> ProblemError:
    """A status to wait at: when the key is mended, nothing is lost."""
    detail = f"The inference server refuses GENERATOR_BACKEND_API_KEY: {detail}"
    return ProblemError(503, "backend-refused", detail, retry_after=_MENDED_BY_PEOPLE_S)
