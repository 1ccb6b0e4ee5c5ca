"""`python -m plumbline_kit.healthcheck PORT`: status 0 when the service here is ready, else why not. Stdlib only.

The status is 1 while it may get ready, and 3 when a person has to mend what it tells. Engines take both for unhealthy.
"""

import http.client
import json
import sys

READY, NOT_READY, IN_VAIN = 0, 1, 3
_PATIENCE_S = 4.0  # less than the engine waits, so that there is a reason to show


def waits_in_vain(status: int, retry_after: str | None) -> bool:
    """By an answer of /readyz: what may pass by itself comes with the time to ask again."""
    return status == 503 and retry_after is None


def look(port: int) -> tuple[int, str]:
    """The status to end with, and why the service on this port of this machine is not ready."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        if response.status == 200:
            return READY, ""
        in_vain = waits_in_vain(response.status, response.getheader("Retry-After"))
        return IN_VAIN if in_vain else NOT_READY, f"{response.status}: {_detail(response.read())}"
    except (OSError, http.client.HTTPException) as error:
        return NOT_READY, f"port {port} does not answer: {type(error).__name__} {error}".rstrip()
    finally:
        connection.close()


def _detail(body: bytes) -> str:
    """The first line of a problem's detail, or of whatever was answered."""
    try:
        told = json.loads(body)["detail"]
    except (ValueError, KeyError, TypeError):
        told = body.decode(errors="replace")
    return next(iter(str(told).splitlines()), "no reason given")


def main() -> int:
    status, reason = look(int(sys.argv[1]))
    if reason:
        print(reason, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
