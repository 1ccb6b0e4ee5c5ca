"""What was asked and how long the answer took: the request that shows a fault, and the latencies."""

import re
import shlex
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

_LONGEST = 4000
_OURS = {"authorization", "host", "accept", "accept-encoding", "connection", "user-agent", "content-length"}


@dataclass
class Record:
    """`seconds` has the time to the end of every successful answer, by operation such as `GET /v1/trainings/{id}`.

    `url` is that of the service, `paths` are those of its document."""

    url: str
    paths: list[str]
    curl: str | None = None
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def note(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, status: int | None, seconds: float
    ) -> None:
        self.curl = curl(method, url, headers, body)
        if status is not None and status < 300:
            self.seconds[f"{method} {self.template(url)}"].append(seconds)

    def template(self, url: str) -> str:
        """The path as the document has it, such as `/v1/trainings/{id}`."""
        path = url.removeprefix(self.url).partition("?")[0]
        patterns = ((template, re.sub(r"\{[^}]+\}", "[^/]+", template)) for template in self.paths)
        return next((template for template, pattern in patterns if re.fullmatch(pattern, path)), path)


def curl(method: str, url: str, headers: Mapping[str, str], body: bytes) -> str:
    """The request as a line for a shell. A token stays out of it; so does the rest of a body that is too long."""
    parts = ["curl", "-sS", "-i", *([] if method == "GET" else ["-X", method]), shlex.quote(url)]
    parts += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items() if name.lower() not in _OURS]
    if any(name.lower() == "authorization" for name in headers):
        parts.append('-H "Authorization: Bearer $PLUMBLINE_TOKEN"')
    if body:
        text = body.decode(errors="backslashreplace")
        parts.append(f"--data-raw {shlex.quote(text[:_LONGEST])}")
        if len(text) > _LONGEST:
            parts.append(f"# and {len(text) - _LONGEST} characters more")
    return " ".join(parts)
