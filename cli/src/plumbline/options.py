"""Options that commands share."""

from pathlib import Path
from typing import Annotated

import typer

Url = Annotated[str, typer.Option("--url", envvar="PLUMBLINE_URL", help="Address of the coordinator.")]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="PLUMBLINE_TOKEN",
        help="Bearer token; prefer the variable, as others can see a command line.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Data as JSON on standard output, text on standard error.")]
Home = Annotated[
    Path,
    typer.Option("--home", envvar="PLUMBLINE_HOME", help="Folder for databases, files, logs, models and reports."),
]
Patience = Annotated[
    float,
    typer.Option("--patience", min=0, help="Seconds to wait for a coordinator that went away, before giving up."),
]
ExperimentId = Annotated[str, typer.Argument(metavar="ID", help="Id of the experiment; see `plumbline list`.")]
HOME = Path("var")
