"""Judges with one fault each, made from examples/minimal-judge, and which checks tell: docs/conformance.md.

`python contracts/conformance/tests/spoiled_judges.py` writes that page anew.
"""

import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from plumbline_conformance import DOCUMENTS, Findings
from plumbline_conformance.runner import arguments, run
from plumbline_conformance.target import Target
from starlette.applications import Starlette
from starlette.routing import Mount

ROOT = Path(__file__).parents[3]
MINIMAL_JUDGE = ROOT / "examples" / "minimal-judge" / "judge.py"
PAGE = ROOT / "docs" / "conformance.md"
EMPTY = '("not_applicable", "the response is empty")'
ENDED = "for item in request.items]\n    return"
REFUSED = 'return JSONResponse(body, status, headers, media_type="application/problem+json")'
EXAMPLES = 0
READY = "ready before it is loaded"
# What stands in the judge, and what takes its place.
FAULTS = {
    "a verdict in upper case": ('"verdict": verdict,', '"verdict": verdict.upper(),'),
    "judgments in reverse order": (ENDED, ENDED.replace("]", "][::-1]")),
    "an item judged twice": (ENDED, ENDED.replace("request.items", "[*request.items, request.items[-1]]")),
    "an item left out": (ENDED, ENDED.replace("items]", "items if item.response]")),
    "an id without its accents": ('"id": item.id', '"id": item.id.encode("ascii", "ignore").decode()'),
    "an aspect left out": ("for aspect in ASPECTS]", "for aspect in ASPECTS if not isinstance(found[aspect][0], str)]"),
    "a guessed score": (EMPTY, '(3.0, "")'),
    "a score beside its cause": ('"score": None,', '"score": 3.0,'),
    "scores up to 10": ('"score": value,', '"score": 2 * value,'),
    "a cause of its own": (EMPTY, '("no_text", "the response is empty")'),
    "another answer every time": ('"rationale": reason,', '"rationale": f"{reason} {os.urandom(4).hex()}",'),
    "a rubric that it does not have": ("if rubric != RUBRIC:", "if not rubric:"),
    "unknown fields taken": ('extra="forbid"', 'extra="ignore"'),
    "limits ignored": (", max_length=64)", ")"),
    "200 with an error body": (REFUSED, 'return JSONResponse({"error": detail}, 200)'),
    "500 for bad input": ('status, kind, detail = 422, "invalid-request"', 'status, kind, detail = 500, "internal"'),
    "an error in a form of its own": ('body |= {"instance": None, "errors": faults}', 'body = {"error": detail}'),
    "an error as application/json": ("application/problem+json", "application/json"),
    "an answer as text/html": (
        'app = FastAPI(title="A minimal judge",',
        'app = FastAPI(default_response_class=type("Page", (JSONResponse,), {"media_type": "text/html"}),',
    ),
    "words of a model that is not named": ('"raw_reply": None', '"raw_reply": "I give it a 4."'),
    "another version every time": ("    return INFO", '    return INFO | {"version": os.urandom(4).hex()}'),
    "another contract": ('"judge/1.1.0"', '"judge/2.0.0"'),
}
TEXT = """\
# What the conformance kit finds

`plumbline conform judge --url URL` examines whatever answers there
([contracts/conformance](../contracts/conformance/README.md)). Does it notice when a promise is broken? Each row is
[examples/minimal-judge](../examples/minimal-judge/README.md) with that one fault; a check marked x fails on it. Without
a fault every check passes.

{table}

The checks, for a judge:

{legend}

Beside these, generated requests (Schemathesis), right and wrong ones, are sent to every operation, and each answer is
held against the OpenAPI document: `answers as documented`. They are left out here, so that making the table is quick.

This page is made by `.venv/bin/python contracts/conformance/tests/spoiled_judges.py`, and a test says when it is old.
"""
# Slow to load: until then it cannot judge. It says so as it should, or it does not.
SLOW = {
    '@app.get("/livez")\n@app.get("/readyz")\n': '@app.get("/livez")\n',
    "def named(rubric": (
        "LOADED = __import__('time').monotonic() + 1\n\n\n"
        "def loading():\n"
        "    if __import__('time').monotonic() < LOADED:\n"
        "        raise HTTPException(503, 'loading', {'Retry-After': '1'})\n\n\n"
        '@app.get("/readyz")\ndef ready():\n    loading()\n    return {"status": "ok"}\n\n\n'
        "def named(rubric"
    ),
    "    if rubric != RUBRIC:": "    loading()\n    if rubric != RUBRIC:",
}
HASTY = SLOW | {"ready():\n    loading()": "ready():"}


def changed(changes: dict[str, str]) -> str:
    source = MINIMAL_JUDGE.read_text("utf-8")
    for stands, instead in changes.items():
        assert stands in source, stands
        source = source.replace(stands, instead)
    return source


@contextmanager
def served() -> Iterator[str]:
    """The URL of a process under which every spoiled judge answers at a path of its own, `/0` and so on."""
    port = free_port()
    with subprocess.Popen([sys.executable, __file__, "serve", str(port)]) as process:
        try:
            for _ in range(600):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert process.poll() is None
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def serve(port: int) -> None:
    judges = []
    for number, (stands, instead) in enumerate(FAULTS.values()):
        module = {"__name__": f"spoiled_{number}"}
        exec(compile(changed({stands: instead}), module["__name__"], "exec"), module)
        judges.append(Mount(f"/{number}", app=module["app"]))  # type: ignore[arg-type]
    uvicorn.run(Starlette(routes=judges), port=port, log_level="critical")


def examine(url: str, folder: Path) -> None:
    """Run the suite against each judge, in children of a process that has loaded all that they need."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    os.chdir(folder)
    for number in [None, *range(len(FAULTS))]:
        document, result = str(DOCUMENTS / "judge.v1.json"), str(folder / f"{number}.json")
        os.environ |= Target(
            "judge", f"{url}/{number}", document, None, examples=EXAMPLES, findings=result
        ).as_environment()
        if number is None:
            pytest.main([*arguments("judge"), "--collect-only"])
        elif child := os.fork():
            os.waitpid(child, 0)
        else:
            os._exit(pytest.main(arguments("judge")))


def findings() -> dict[str, Findings]:
    """By fault, what the suite found."""
    with tempfile.TemporaryDirectory() as folder, served() as url:
        subprocess.run([sys.executable, __file__, "examine", url, folder], check=True)
        found = {fault: Findings.read(Path(folder) / f"{number}.json") for number, fault in enumerate(FAULTS)}
        return found | {READY: started(Path(folder), HASTY)}


def started(folder: Path, changes: dict[str, str], examples: int = EXAMPLES) -> Findings:
    (folder / "judge.py").write_text(changed(changes), encoding="utf-8")
    url = f"http://127.0.0.1:{free_port()}"
    return run("judge", url, start=shlex.join([sys.executable, str(folder / "judge.py")]), examples=examples)


def page(found: dict[str, Findings]) -> str:
    """The table of faults and checks, and what each check asks for."""
    failed = {fault: {_check(check.name) for check in one.failed} for fault, one in found.items()}
    asked = {_check(check.name): check.requirement for one in found.values() for check in one.checks}
    asked.pop("answers as documented")
    head = ["fault", *map(str, range(1, len(asked) + 1))]
    rows = [[fault, *("x" if check in failed[fault] else "" for check in asked)] for fault in found]
    table = [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
    legend = [f"{number}. *{check}*: {requirement}" for number, (check, requirement) in enumerate(asked.items(), 1)]
    return TEXT.format(table="\n".join(table), legend="\n".join(legend))


def _check(name: str) -> str:
    """Without its parameter."""
    return name.partition(" [")[0]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", port]:
            serve(int(port))
        case ["examine", url, folder]:
            examine(url, Path(folder))
        case []:
            PAGE.write_text(page(findings()), encoding="utf-8")
