"""An analyzer of one's own: its process, for as long as a command needs it, with a store that is thrown away."""

import importlib.util
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar

import httpx
from plumbline_contracts import analyzer
from plumbline_kit.client import problem_of
from plumbline_kit.errors import ProblemError
from plumbline_kit.folder_store import FolderStore
from pydantic import BaseModel

from ..local.readiness import AwaitedProcess, Ended, wait

_MODULE = "plumbline_analyzer"
_START_S = 120.0
_END_S = 10.0
_ANSWER_S = 3600.0
_AT_ONCE = 256
Answer = TypeVar("Answer", bound=BaseModel)


class OwnAnalyzer(NamedTuple):
    client: httpx.Client
    store: FolderStore

    def detect(self, observations: list[analyzer.Observation]) -> list[analyzer.Observation]:
        """With the critical errors of every response that has none yet."""
        wanted = [one for one in observations if one.response is not None and not one.detections]
        found: dict[int, list[analyzer.Detection]] = {}
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            items = [
                analyzer.DetectionItem(
                    id=str(number),
                    instruction=one.instruction,
                    response=one.response or "",
                    language=one.language,
                    finish_reason=one.finish_reason,
                )
                for number, one in enumerate(part)
            ]
            answer = self._post("detections", analyzer.DetectionRequest(items=items), analyzer.DetectionResponse)
            found |= {id(one): item.detections for one, item in zip(part, answer.items, strict=True)}
        return [
            one.model_copy(update={"detections": found[id(one)]}) if id(one) in found else one for one in observations
        ]

    def analyze(self, request: analyzer.AnalysisRequest, data: Path) -> analyzer.AnalysisResponse:
        """`data` takes the place of the request's own."""
        kept = self.store.put(data, "observations")
        given = request.model_copy(update={"observations": None, "data": kept})
        return self._post("analyses", given, analyzer.AnalysisResponse)

    def _post(self, path: str, request: BaseModel, answer: type[Answer]) -> Answer:
        response = self.client.post(
            f"/v1/{path}", content=request.model_dump_json(), headers={"Content-Type": "application/json"}
        )
        if not response.is_success:
            raise problem_of(response)
        return answer.model_validate_json(response.content)


@contextmanager
def own_analyzer() -> Iterator[OwnAnalyzer]:
    """Raises `not-installed`, or `not-ready` with the analyzer's last words."""
    if importlib.util.find_spec(_MODULE) is None:
        detail = "The analyzer is not installed: pip install 'plumbline-cli[analyze]'."
        raise ProblemError(422, "not-installed", detail)
    with TemporaryDirectory(prefix="plumbline-analyze-") as folder, (Path(folder) / "log").open("w+b") as log:
        url = f"http://127.0.0.1:{_free_port()}"
        process = _start(url, Path(folder), log.fileno())
        try:
            _wait(process, url, Path(folder) / "log")
            with httpx.Client(base_url=url, timeout=_ANSWER_S, trust_env=False) as client:
                yield OwnAnalyzer(client, FolderStore(Path(folder) / "artifacts"))
        finally:
            _end(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(url: str, folder: Path, log: int) -> subprocess.Popen[bytes]:
    """Settings of a system that runs here (its token, its store) are none of this one's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PLUMBLINE_")}
    settings = {
        "PLUMBLINE_HOST": "127.0.0.1",
        "PLUMBLINE_ARTIFACTS_DIR": str(folder / "artifacts"),
        "ANALYZER_PORT": url.rpartition(":")[2],
    }
    return subprocess.Popen(
        [sys.executable, "-m", _MODULE], env=kept | settings, cwd=folder, stdout=log, stderr=subprocess.STDOUT
    )


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    try:
        wait([AwaitedProcess("analyzer", url, process, process.pid)], _START_S, lambda _: None)
    except Ended as error:
        words = log.read_text("utf-8", "replace").strip().splitlines()[-3:]
        raise ProblemError(503, "not-ready", "The analyzer ended at its start: " + " / ".join(words)) from error


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
