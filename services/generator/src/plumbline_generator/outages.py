"""What an inference server does to everybody, as problems: away, too slow, or closed to us."""

from plumbline_kit.errors import ProblemError

_ASK_AGAIN_S, _MENDED_BY_PEOPLE_S = 5, 30


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
