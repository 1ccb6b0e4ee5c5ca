"""`plumbline export`: every response with its detections and judgments, as a file."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from plumbline_kit.errors import ProblemError

from .. import export as formats
from ..client import DEFAULT_URL, PlumblineClient
from ..files import whole
from ..options import ExperimentId, Json, Token, Url
from ..terminal import reporting


class Format(StrEnum):
    JSONL = "jsonl"
    PARQUET = "parquet"
    CSV = "csv"


_WRITE = {Format.JSONL: formats.jsonl, Format.PARQUET: formats.parquet, Format.CSV: formats.csv}


def export(
    id: ExperimentId,
    format: Annotated[Format, typer.Option("--format", "-f", help="jsonl and parquet are nested, csv is flat.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    json: Json = False,
) -> None:
    """Write every response of an experiment to a file, also those that are missing, with their cause.

    csv has a row per response and the columns score:<judge>:<aspect>,
    missing:<judge>:<aspect> (why there is no score) and found:<detector>
    (found, absent, undecided or not_applicable). The file appears when it is
    complete.

    \b
    plumbline export quickstart-5f0c1a2b --format parquet --output responses.parquet
    """
    with reporting(json) as terminal, PlumblineClient(url, token) as client:
        if output.exists() and (output.is_dir() or not force):
            hint = "it is a folder" if output.is_dir() else "--force replaces it"
            raise ProblemError(422, "file-exists", f"{output} exists; {hint}.")
        with whole(output) as partial:
            count = _WRITE[format](client.responses(id), partial)
        terminal.say(f"{count} responses in {output}")
        terminal.data({"file": str(output.resolve()), "format": format.value, "responses": count})
