"""`python -m plumbline_conformance SERVICE --url URL`: exit status 0 when it conforms, 1 when not, 2 on wrong use."""

import argparse
import os
import sys
from pathlib import Path

from .runner import DOCUMENTS, run
from .target import EXAMPLES, SERVICES


def main() -> int:
    parser = argparse.ArgumentParser("plumbline-conformance", description="Check a service against its contract.")
    parser.add_argument("service", choices=SERVICES)
    parser.add_argument("--url", required=True, help="for example http://127.0.0.1:8004")
    parser.add_argument("--documents", type=Path, help=f"folder of the OpenAPI documents (default: {DOCUMENTS})")
    parser.add_argument("--junit", type=Path, help="write a JUnit report here")
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="random requests per operation (%(default)s)")
    parser.add_argument("--model", help="what to ask a generator for (default: the first of GET /v1/models)")
    parser.add_argument("--training", type=Path, help="JSON of a training that a trainer accepts; it is cancelled")
    asked = parser.parse_args()
    token = os.environ.get("PLUMBLINE_TOKEN")  # never an argument: process lists show those
    try:
        return run(
            asked.service,
            asked.url,
            asked.documents,
            asked.junit,
            token,
            asked.examples,
            asked.model,
            asked.training,
        )
    except FileNotFoundError as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
