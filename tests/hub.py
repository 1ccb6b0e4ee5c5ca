"""A stand-in for the Hugging Face hub: as much of its API as a download asks for, over folders of this machine."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class HubServer:
    """`commits[repository][branch or tag]` is the folder of a commit, whose name is the commit's. Weights are sent as
    long as `open` is set."""

    commits: dict[str, dict[str, Path]]
    address: str = ""
    asked: list[str] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        words = path.removeprefix("/api/models").partition("?")[0].strip("/").split("/")
        if len(words) < 4:
            return 404, {}, b""
        repository, kind, revision, file = "/".join(words[:2]), words[2], words[3], "/".join(words[4:])
        if repository not in self.commits:
            return 401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}, b"{}"
        refs = self.commits[repository]
        folder = refs.get(revision) or next((one for one in refs.values() if one.name == revision), None)
        if folder is None:
            return 404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": f"No {revision}"}, b"{}"
        if kind != "resolve":
            found = _info(repository, folder) if kind == "revision" else _tree(folder)
            return 200, {"Content-Type": "application/json"}, json.dumps(found).encode()
        content = (folder / file).read_bytes()
        headers = {"ETag": f'"{_oid(content)}"', "X-Repo-Commit": folder.name}
        return 200, headers | {"Content-Length": str(len(content))}, content


def _info(repository: str, folder: Path) -> dict[str, Any]:
    return {"id": repository, "sha": folder.name, "siblings": [{"rfilename": f.name} for f in folder.iterdir()]}


def _tree(folder: Path) -> list[dict[str, Any]]:
    contents = {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
    return [
        {"type": "file", "path": name, "size": len(content), "oid": _oid(content)} for name, content in contents.items()
    ]


def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@contextmanager
def running(commits: dict[str, dict[str, Path]]) -> Iterator[HubServer]:
    hub = HubServer(commits)
    hub.open.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hub.asked.append(f"{self.command} {self.path}")
            status, headers, body = hub.answer(self.path)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                if self.path.endswith(".safetensors"):
                    hub.open.wait()
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield hub
        hub.open.set()
        server.shutdown()
