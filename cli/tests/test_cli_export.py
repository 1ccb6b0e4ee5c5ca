"""`plumbline export`: each format holds everything, and a file is whole or absent."""

import csv
import hashlib
import json
from collections import Counter

import datasets
import duckdb
import pytest
from plumbline.exports.names import file_names

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


def read_lines(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_a_folder_holds_what_was_analyzed(exported):
    target, outcome = exported("folder", "--json")
    assert outcome.json == {"folder": str(target), "format": "folder", "responses": _RECORDS}
    names = "analysis.json experiment.yaml manifest.json observations.jsonl responses.jsonl results.json"
    assert sorted(file.name for file in target.iterdir()) == names.split()
    data = json.loads((target / "analysis.json").read_text())["data"]
    assert hashlib.sha256((target / "observations.jsonl").read_bytes()).hexdigest() == data["sha256"]
    assert (target / "experiment.yaml").read_text().startswith("name: Étude d'été\n")


def test_just_eval_reads_outputs_and_judgments(exported):
    target, outcome = exported("just-eval")
    assert outcome.code == 0, outcome.err
    outputs = json.loads((target / "outputs" / "zero-shot.fr.json").read_text())
    fields = {"id", "instruction", "output", "generator", "dataset", "source_id", "datasplit", "model_input"}
    assert [set(row) for row in outputs] == [fields] * 4
    assert (outputs[1]["id"], outputs[1]["generator"], outputs[1]["dataset"]) == (1, "zero-shot", "data/items.jsonl")
    judged = json.loads((target / "eval_results" / "judge" / "urial.fr.score_multi.json").read_text())
    assert len(judged) == 3  # one of four has no response
    # As just-eval's report counts: no aspect that has no score, and never "N/A", which it takes for 5.
    scores = [(aspect, float(one["score"])) for row in judged for aspect, one in row["parsed_result"].items()]
    assert scores == [("clarity", 4.0)] * 3
    assert (
        json.loads(judged[0]["result"]) == judged[0]["parsed_result"] == {"clarity": {"reason": "Clair.", "score": "4"}}
    )


def test_lm_eval_samples_have_the_fields_of_the_harness(exported, tmp_path):
    target, outcome = exported("lm-eval")
    assert outcome.code == 0, outcome.err
    (samples,) = (target / "urial").glob("samples_*.jsonl")
    name = samples.name
    task, time = name[name.find("_") + 1 : name.rfind("_")], name[name.rfind("_") + 1 :].removesuffix(".jsonl")
    assert task == "Étude-d-été-fr" and (target / "urial" / f"results_{time}.json").is_file()
    rows = read_lines(samples)
    logged = ["doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", "doc_hash"]
    assert list(rows[0])[: len(logged)] == logged
    assert [row["doc_id"] for row in rows] == [0, 1, 2, 3]
    assert rows[0]["arguments"]["gen_args_0"]["arg_0"] == "Écris deux lignes."
    assert rows[0]["prompt_hash"] == hashlib.sha256("Écris deux lignes.".encode()).hexdigest()
    assert all(set(row["metrics"]) <= set(row) for row in rows)
    assert (rows[0]["judge/clarity"], rows[0]["judge/depth"], rows[0]["wrong_language"]) == (4.0, None, 0.0)
    table = datasets.load_dataset("json", data_files=str(samples), split="train", cache_dir=str(tmp_path / "cache"))
    assert table["filtered_resps"][0] == ['Ligne "une",\nligne deux; été n° 1']
    means = json.loads((target / "urial" / f"results_{time}.json").read_text())
    assert means["results"][task]["judge/clarity,none"] == 3.25
    assert means["n-samples"][task] == {"original": 4, "effective": 4}


def test_a_hugging_face_data_set_loads_offline(exported, tmp_path, monkeypatch):
    lines, _ = exported("jsonl")
    target, outcome = exported("hf-dataset")
    assert outcome.code == 0, outcome.err
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    loaded = datasets.load_dataset(str(target), cache_dir=str(tmp_path / "cache"))
    assert Counter({split: len(rows) for split, rows in loaded.items()}) == {"fr": _RECORDS}
    assert loaded["fr"].to_list() == read_lines(lines)


def test_names_of_arms_become_names_of_files_of_their_own():
    assert file_names(["a b", "a/b", "A-b", "..", "zero-shot + DPO"]) == {
        "a b": "a-b",
        "a/b": "a-b-",
        "A-b": "A-b--",
        "..": "unnamed",
        "zero-shot + DPO": "zero-shot-+-DPO",
    }


def test_a_folder_is_never_replaced(exported):
    target, _ = exported("folder")
    refused = exported("folder", "--force")[1]
    assert refused.code == 2 and "new or empty folder" in refused.err
    assert (target / "observations.jsonl").is_file()


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
