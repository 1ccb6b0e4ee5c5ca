"""`plumbline export`: an experiment as a folder to keep, as a file of responses, or in the form of another tool."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from plumbline_kit.errors import ProblemError

from ..client import DEFAULT_URL, PlumblineClient
from ..exports import FILES, Format, folder, hf_dataset, just_eval, lm_eval, records
from ..files import whole
from ..options import ExperimentId, Json, Token, Url
from ..terminal import reporting

_WRITE: dict[Format, Callable[[PlumblineClient, str, Path], int]] = {
    Format.JSONL: lambda client, id, target: records.jsonl(client.responses(id), target),
    Format.PARQUET: lambda client, id, target: records.parquet(client.responses(id), target),
    Format.CSV: lambda client, id, target: records.csv(client.responses(id), target),
    Format.FOLDER: folder.write,
    Format.JUST_EVAL: just_eval.write,
    Format.LM_EVAL: lm_eval.write,
    Format.HF_DATASET: hf_dataset.write,
}


def export(
    id: ExperimentId,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="PATH", help="The folder or file to write.")],
    format: Annotated[Format, typer.Option("--format", "-f")] = Format.FOLDER,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists; never a folder.")] = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
    json: Json = False,
) -> None:
    """Write every response of an experiment, also those that are missing, with their cause.

    \b
    folder      all of a finished experiment: responses, what was analyzed, results,
                manifest; `plumbline analyze` repeats the analysis from it
    jsonl       a file, a response a line, nested
    parquet     a file, nested
    csv         a file, flat: score:<judge>:<aspect>, missing:<judge>:<aspect> (why
                there is no score), found:<detector>
    just-eval   outputs and judgments as just-eval's report reads them
    lm-eval     samples_*.jsonl and results_*.json of lm-evaluation-harness
    hf-dataset  a folder for `datasets.load_dataset` or `hf upload`

    What is written appears when it is complete.

    \b
    plumbline export quickstart-5f0c1a2b --output quickstart
    plumbline export quickstart-5f0c1a2b --format parquet --output responses.parquet
    """
    with reporting(json) as terminal, PlumblineClient(url, token) as client:
        _refuse_existing(output, format, force)
        with whole(output) as partial:
            count = _WRITE[format](client, id, partial)
        terminal.say(f"{count} responses in {output}")
        kind = "file" if format in FILES else "folder"
        terminal.data({kind: str(output.resolve()), "format": format.value, "responses": count})


def _refuse_existing(output: Path, format: Format, force: bool) -> None:
    if format not in FILES:
        replaceable, hint = output.is_dir() and not any(output.iterdir()), "choose a new or empty folder"
    else:
        replaceable, hint = (
            force and not output.is_dir(),
            "it is a folder" if output.is_dir() else "--force replaces it",
        )
    if output.exists() and not replaceable:
        raise ProblemError(422, "file-exists", f"{output} exists; {hint}.")
