"""`python -m plumbline_conformance SERVICE --url URL`: exit status 0 when it conforms, 1 when not, 2 on wrong use."""

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path

from rich.console import Console

from .report import markdown, show
from .runner import DOCUMENTS, SuiteBroken, run
from .starting import NotStarted
from .target import EXAMPLES, SERVICES


def main() -> int:
    parser = _parser()
    asked = parser.parse_args()
    token = os.environ.get("PLUMBLINE_TOKEN")  # never an argument: process lists show those
    try:
        findings = run(
            asked.service,
            asked.url,
            asked.documents,
            asked.junit,
            token,
            asked.examples,
            asked.model,
            asked.training,
            asked.start,
            asked.start_seconds,
        )
    except FileNotFoundError as error:
        parser.error(str(error))
    except (NotStarted, SuiteBroken) as error:
        print(error, file=sys.stderr)
        return 1
    console = Console(stderr=asked.json)
    if not console.is_terminal:
        console.width = 160  # a file or a pipe has no width; 80 would cut tables
    show(findings, console)
    if asked.report is not None:
        asked.report.write_text(markdown(findings), encoding="utf-8")
    if asked.json:
        json.dump(dataclasses.asdict(findings) | {"conforms": findings.conforms}, sys.stdout, indent=2)
        print()
    return 0 if findings.conforms else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("plumbline-conformance", description="Check a service against its contract.")
    parser.add_argument("service", choices=SERVICES)
    parser.add_argument("--url", required=True, help="for example http://127.0.0.1:8004")
    parser.add_argument("--start", metavar="COMMAND", help="starts the service at the URL; it is ended afterwards")
    parser.add_argument("--start-seconds", type=float, default=120, help="to get ready (%(default)s)")
    parser.add_argument("--documents", type=Path, help=f"folder of the OpenAPI documents (default: {DOCUMENTS})")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write a JUnit report here")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the report here, as Markdown")
    parser.add_argument("--json", action="store_true", help="all findings on standard output, text on standard error")
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="random requests per operation (%(default)s)")
    parser.add_argument("--model", help="what to ask a generator for (default: the first of GET /v1/models)")
    parser.add_argument("--training", type=Path, help="JSON of a training that a trainer accepts; it is cancelled")
    return parser


if __name__ == "__main__":
    sys.exit(main())
