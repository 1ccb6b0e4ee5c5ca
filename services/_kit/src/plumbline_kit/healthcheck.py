"""`python -m plumbline_kit.healthcheck PORT`: status 0 when the service here is ready, else 1 and why. Stdlib only."""

import http.client
import json
import sys

_PATIENCE_S = 4.0  # less than the engine waits, so that there is a reason to show


def fault(port: int) -> str | None:
    """Why the service on this port of this machine is not ready."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        return None if response.status == 200 else f"{response.status}: {_detail(response.read())}"
    except (OSError, http.client.HTTPException) as error:
        return f"port {port} does not answer: {type(error).__name__} {error}".rstrip()
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
    reason = fault(int(sys.argv[1]))
    if reason is not None:
        print(reason, file=sys.stderr)
    return 0 if reason is None else 1


if __name__ == "__main__":
    sys.exit(main())
