"""Responses as JSON lines, Parquet or CSV. Each function writes one file and returns the number of responses."""

import csv as csv_format
from collections.abc import Iterable, Iterator
from pathlib import Path

from plumbline_contracts.coordinator import ResponseRecord

_PLAIN = [
    "arm",
    "language",
    "item",
    "category",
    "instruction",
    "response",
    "raw_response",
    "missing",
    "finish_reason",
    "prompt_tokens",
    "completion_tokens",
    "audited",
]
_DETECTIONS = (
    'STRUCT(detector VARCHAR, finding VARCHAR, evidence VARCHAR, "start" BIGINT, "end" BIGINT, kind VARCHAR, '
    "severity VARCHAR, repetition STRUCT(onset BIGINT, period BIGINT, repeats DOUBLE))[]"
)
# Named and typed, so that a file has the same columns whatever its content.
_COLUMNS = {
    **dict.fromkeys(_PLAIN, "VARCHAR"),
    "prompt_tokens": "BIGINT",
    "completion_tokens": "BIGINT",
    "audited": "BOOLEAN",
    "loop": "STRUCT(onset BIGINT, period BIGINT, met_at BIGINT, tokens_saved BIGINT)",
    "flags": "VARCHAR[]",
    "detections": _DETECTIONS,
    "detections_if_ended": _DETECTIONS,
    "judgments": "STRUCT(judge VARCHAR, rubric VARCHAR, aspect VARCHAR, score DOUBLE, stated VARCHAR, "
    "rationale VARCHAR, confidence STRUCT(expected DOUBLE, probabilities DOUBLE[], mass DOUBLE), repaired BOOLEAN, "
    "missing VARCHAR)[]",
}
_LONGEST_LINE_BYTES = 128 * 2**20


def jsonl(records: Iterable[ResponseRecord], target: Path) -> int:
    count = 0
    with target.open("w", encoding="utf-8", newline="\n") as file:
        for count, record in enumerate(records, start=1):  # noqa: B007 - the last count is the result
            file.write(record.model_dump_json() + "\n")
    return count


def parquet(records: Iterable[ResponseRecord], target: Path) -> int:
    """Nested columns, by way of JSON lines beside it."""
    lines = target.with_name(f"{target.name}.lines")
    count = jsonl(records, lines)
    to_parquet(lines, target)
    return count


def to_parquet(lines: Path, target: Path) -> None:
    """From a file that `jsonl` wrote."""
    import duckdb  # a quarter of a second, for some formats of one command

    columns = ", ".join(f"{name}: '{kind}'" for name, kind in _COLUMNS.items())
    source = (
        f"read_json(?, format='newline_delimited', columns={{{columns}}}, maximum_object_size={_LONGEST_LINE_BYTES})"
    )
    quoted = str(target).replace("'", "''")
    with duckdb.connect() as database:
        database.execute(f"COPY (SELECT * FROM {source}) TO '{quoted}' (FORMAT parquet)", [str(lines)])  # noqa: S608


def csv(records: Iterable[ResponseRecord], target: Path) -> int:
    """Flat, by way of JSON lines beside it: the columns are known only at the end."""
    lines = target.with_name(f"{target.name}.lines")
    columns: dict[str, None] = dict.fromkeys([*_PLAIN, "flags"])

    def noted() -> Iterator[ResponseRecord]:
        for record in records:
            columns.update(dict.fromkeys(flat(record)))
            yield record

    count = jsonl(noted(), lines)
    with lines.open(encoding="utf-8") as source, target.open("w", encoding="utf-8", newline="") as file:
        writer = csv_format.DictWriter(file, list(columns))
        writer.writeheader()
        for line in source:
            writer.writerow(flat(ResponseRecord.model_validate_json(line)))
    return count


def flat(record: ResponseRecord) -> dict[str, str | int | float | None]:
    row: dict[str, str | int | float | None] = record.model_dump(include=set(_PLAIN))
    row["flags"] = ";".join(record.flags)
    if record.loop is not None:
        row |= {"loop_met_at": record.loop.met_at, "loop_tokens_saved": record.loop.tokens_saved}
    for judgment in record.judgments:
        row[f"score:{judgment.judge}:{judgment.aspect}"] = judgment.score
        row[f"missing:{judgment.judge}:{judgment.aspect}"] = judgment.missing
    return row | {f"found:{one.detector.value}": one.finding.value for one in record.detections}
