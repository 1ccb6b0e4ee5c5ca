"""`plumbline analyze`: every form of file, what is wrong with one, and an analyzer that lives with the command."""

import csv
import hashlib
import json
from pathlib import Path

import pytest
from plumbline.analysis import reading
from plumbline_contracts.analyzer import AnalysisRequest, AnalysisSettings
from plumbline_contracts.common import Artifact
from plumbline_kit.errors import ProblemError


def just_eval(path: Path, arm: str, scores: list[str]) -> Path:
    rows = [
        {
            "id": i, "input": "Name an animal.", "output_cand": f"A dog, said {arm}.", "generator_cand": arm,
            "eval_config": {"mode": "multi", "gpt": "gpt-4", "max_words": -1}, "result": "...",
            "parsed_result": {"depth": {"reason": "Short.", "score": score}},
        }
        for i, score in enumerate(scores)
    ]  # fmt: skip
    path.write_text(json.dumps(rows))
    return path


def lm_eval(folder: Path, values: list[float]) -> Path:
    folder.mkdir()
    path = folder / "samples_arc_2026-01-01T00-00-00.jsonl"
    rows = [
        {"doc_id": i, "doc": {"question": "?"}, "arguments": {"gen_args_0": {"arg_0": "Q: ?"}}, "resps": [["a"]],
         "filtered_resps": ["a"], "filter": "none", "metrics": ["acc"], "acc": value}
        for i, value in enumerate(values)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(*arguments: object, language: str = "en"):
    return reading.collect([reading.source(str(argument), language) for argument in arguments])


def test_just_eval_results_become_observations(tmp_path) -> None:
    found = read(just_eval(tmp_path / "a.json", "zephyr", ["4", "N/A", "?"]))
    assert [arm.name for arm in found.arms] == ["zephyr"]
    assert [judge.model for judge in found.judges] == ["gpt-4"]
    assert [(one.scores[0].score, one.scores[0].missing) for one in found.observations] == [
        (4, None), (None, "not_applicable"), (None, "unparsable_reply"),
    ]  # fmt: skip


def test_metrics_of_the_harness_are_scaled_and_labelled(tmp_path) -> None:
    path = lm_eval(tmp_path / "org__model", [0, 1, 0.5])
    found = read(f"{path}")
    assert [arm.name for arm in found.arms] == ["org__model"]
    assert [one.scores[0].score for one in found.observations] == [1, 5, 3]
    assert "1 + 4 x metric" in found.notes[0]
    assert [one.language for one in read(f"mine@es={path}").observations] == ["es"] * 3


def test_names_of_files_and_arms_may_have_what_separates_them(tmp_path) -> None:
    path = just_eval(tmp_path / "URIAL=inst.json", "zephyr", ["4"])
    assert reading.source(str(path), "en").arm is None
    mine = reading.source(f"a=b@home@fr={path}", "en")
    assert (mine.arm, mine.language, mine.path) == ("a=b@home", "fr", path)
    with pytest.raises(ProblemError, match="'spanish' is no ISO 639 code"):
        reading.source(f"a@spanish={path}", "en")
    with pytest.raises(ProblemError, match="There is no file a=b"):
        reading.source("a=b", "en")


def test_a_csv_says_which_cell_is_wrong(tmp_path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text('item,arm,response,score:depth,missing:depth\n1,a,"two\nlines",3,\n2,a,x,,timeout\n3,a,x,9,\n')
    with pytest.raises(ProblemError, match=r"line 5 score:depth: a score of 9; 1 to 5 is needed"):
        read(path)
    path.write_text("item,arm,response,score:me:depth\n1,a,x,\n")
    (score,) = read(path).observations[0].scores
    assert (score.judge, score.missing) == ("me", "no score in the file")
    path.write_text("question,answer\n1,2\n")
    with pytest.raises(ProblemError, match="the columns are question, answer; needed are columns `item`"):
        read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n', "the fields a are of no known form"),
        ('{"doc_id": 1, "metrics": []}\n{"doc_id"\n', "line 2: no JSON"),
        ("[1]", r"\[0\]: a int; an object is needed"),
        ("", "The files have no row"),
    ],
)
def test_a_file_of_no_known_form_is_refused(tmp_path, text, message) -> None:
    (tmp_path / "x.jsonl").write_text(text)
    with pytest.raises(ProblemError, match=message):
        read(tmp_path / "x.jsonl")


def test_files_on_the_same_responses_come_together(tmp_path) -> None:
    first = just_eval(tmp_path / "a.json", "zephyr", ["4", "5"])
    second = just_eval(tmp_path / "b.json", "zephyr", ["3", "5"])
    second.write_text(second.read_text().replace("gpt-4", "gpt-3.5").replace("multi", "multi-2"))
    found = read(first, second)
    assert [len(one.scores) for one in found.observations] == [2, 2]
    assert len(found.judges) == 2
    second.write_text(second.read_text().replace("A dog", "A cat"))
    with pytest.raises(ProblemError, match="has two different responses in the files"):
        read(first, second)


def test_a_report_and_its_folder_without_any_service(plumbline, tmp_path) -> None:
    """Also from the folder that an export makes: the same numbers."""
    base = just_eval(tmp_path / "base.json", "base", ["2", "3"] * 10)
    dpo = just_eval(tmp_path / "dpo.json", "dpo", ["4", "4", "N/A", "5"] * 5)
    outcome = plumbline("analyze", base, dpo, "--folder", "first", "--resamples", "200", "--json", "--title", "Two <a>")
    assert outcome.code == 0, outcome.err
    results = outcome.json["results"]
    dpo_mean = next(mean for mean in results["means"] if mean["arm"] == "dpo")
    assert (dpo_mean["n"], dpo_mean["missing"]) == (15, {"not_applicable": 5})
    assert results["differences"][0]["conclusion"] == "refused"  # a quarter of the scores is not there
    assert {rate["n"] for rate in results["error_rates"] if rate["detector"] == "infinite_loop"} == {20}
    folder = plumbline.folder / "first"
    assert "Two &lt;a&gt;" in (folder / "report.html").read_text()
    with (folder / "tables" / "means.csv").open() as file:
        assert [row["mean"] for row in csv.DictReader(file)] == ["2.5", str(dpo_mean["mean"])]
    assert "\\toprule" in (folder / "tables" / "paper-scores-1.tex").read_text()
    assert (folder / "figures" / "scores-1-gpt-4-en.pdf").read_bytes().startswith(b"%PDF")
    again = plumbline("analyze", base, "--folder", "first")
    assert (again.code, "name a new one by --folder" in again.err) == (2, True)


def test_an_exported_folder_is_analyzed_as_it_was(plumbline, tmp_path) -> None:
    collected = read(just_eval(tmp_path / "a.json", "a", ["1", "2", "4"] * 4))
    folder = tmp_path / "exported"
    folder.mkdir()
    text = "".join(one.model_dump_json() + "\n" for one in collected.observations)
    (folder / "observations.jsonl").write_text(text)
    digest = hashlib.sha256(text.encode()).hexdigest()
    request = AnalysisRequest(
        experiment="one",
        title="Then",
        arms=collected.arms,
        languages=["en"],
        judges=collected.judges,
        settings=AnalysisSettings(resamples=100, confidence=0.9),
        data=Artifact(uri="artifact:x", sha256=digest, bytes=len(text)),
    )
    (folder / "analysis.json").write_text(request.model_dump_json())
    outcome = plumbline("analyze", folder, "--folder", "again", "--json")
    assert outcome.json["results"]["means"][0]["mean"] == pytest.approx(7 / 3)
    assert "90% interval" in (plumbline.folder / "again" / "report.html").read_text()
    (folder / "observations.jsonl").write_text(text + text)
    changed = plumbline("analyze", folder, "--folder", "changed")
    assert (changed.code, "analyzed was" in changed.err) == (2, True)


def test_an_arm_that_is_not_there(plumbline, tmp_path) -> None:
    outcome = plumbline("analyze", just_eval(tmp_path / "a.json", "a", ["1"]), "--baseline", "b")
    assert (outcome.code, "There is no arm 'b' in the files; there are a." in outcome.err) == (2, True)
