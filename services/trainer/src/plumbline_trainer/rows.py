"""The rows of a data file, checked line by line."""

import json

from plumbline_contracts.common import Artifact
from plumbline_contracts.trainer import Method
from plumbline_kit.artifacts import ArtifactStore
from plumbline_kit.errors import ProblemError

COLUMNS = {Method.SFT: ("prompt", "completion"), Method.DPO: ("prompt", "chosen", "rejected")}
Row = dict[str, str]


def read(data: Artifact, method: Method, store: ArtifactStore) -> list[Row]:
    """Every row with the columns of `method`; the problem `invalid-data` names the first line that is wrong."""
    path = store.path(data)
    if not path.is_file():
        raise ProblemError(422, "invalid-data", f"{data.uri} is a folder; expected one JSONL file.")
    rows = []
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                rows.append(_row(line, f"{data.uri}, line {number}", COLUMNS[method]))
    if not rows:
        raise ProblemError(422, "invalid-data", f"{data.uri} has no rows.")
    return rows


def _row(line: bytes, place: str, columns: tuple[str, ...]) -> Row:
    expected = f"expected a JSON object with the texts {', '.join(columns)}"
    try:
        row = json.loads(line)
    except ValueError as error:  # of JSON or of UTF-8
        raise ProblemError(422, "invalid-data", f"{place}: {error}; {expected}.") from error
    if not isinstance(row, dict):
        raise ProblemError(422, "invalid-data", f"{place}: this is a {type(row).__name__}; {expected}.")
    for column in columns:
        if not isinstance(row.get(column), str):
            fault = f"{column} is a {type(row[column]).__name__}" if column in row else f"{column} is missing"
            raise ProblemError(422, "invalid-data", f"{place}: {fault}; {expected}.")
    return {column: row[column] for column in columns}
