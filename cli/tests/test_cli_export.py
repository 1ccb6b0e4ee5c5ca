"""`plumbline export`: each format holds everything, and a file is whole or absent."""

import csv
import json

import duckdb
import pytest

_RECORDS = 8


@pytest.fixture
def exported(coordinator, plumbline, write_spec):
    plumbline("run", write_spec(), "--id", "one")

    def export(format, *arguments):
        target = plumbline.folder / f"responses.{format}"
        return target, plumbline("export", "one", "--format", format, "--output", target, *arguments)

    return export


def test_jsonl_is_nested_and_complete(exported):
    target, outcome = exported("jsonl", "--json")
    records = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert outcome.json == {"file": str(target), "format": "jsonl", "responses": _RECORDS}
    assert [record["item"] for record in records] == ["0", "0", "1", "1", "2", "2", "3", "3"]
    assert records[0]["response"] == 'Ligne "une",\nligne deux; été n° 0'
    assert records[0]["judgments"][1]["missing"] == "unscored: no number"
    assert records[5]["missing"] == "the generator gave up"


def test_parquet_equals_jsonl(exported):
    lines, _ = exported("jsonl")
    target, outcome = exported("parquet")
    assert outcome.code == 0, outcome.err
    with duckdb.connect() as database:
        relation = database.sql(f"SELECT * FROM '{target}'")
        rows = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
    assert rows == [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]


def test_csv_is_flat_with_a_row_per_response(exported):
    target, outcome = exported("csv")
    assert outcome.code == 0, outcome.err
    with target.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == _RECORDS
    assert rows[0]["response"] == 'Ligne "une",\nligne deux; été n° 0'
    assert rows[0]["score:judge:clarity"] == "4.0"
    assert (rows[0]["score:judge:depth"], rows[0]["missing:judge:depth"]) == ("", "unscored: no number")
    assert rows[0]["found:wrong_language"] == "absent"
    assert (rows[5]["missing"], rows[5]["found:wrong_language"]) == ("the generator gave up", "")


def test_an_existing_file_is_replaced_only_by_force(exported, plumbline):
    target, _ = exported("csv")
    target.write_text("precious")
    refused = exported("csv")[1]
    assert refused.code == 2
    assert "--force" in refused.err
    assert target.read_text() == "precious"
    assert exported("csv", "--force")[1].code == 0
    assert target.read_text(encoding="utf-8").startswith("arm,")


def test_a_failed_export_leaves_nothing(coordinator, plumbline):
    outcome = plumbline("export", "absent", "--format", "csv", "--output", "new/absent.csv")
    assert outcome.code == 4
    assert list((plumbline.folder / "new").iterdir()) == []
