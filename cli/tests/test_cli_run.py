"""`plumbline run` and `watch` against a coordinator on the real wire."""

import hashlib
import json

import pytest


def test_run_prints_results_and_saves_the_report(coordinator, plumbline, write_spec):
    outcome = plumbline("run", write_spec())
    assert outcome.code == 0, outcome.err
    for expected in (
        "generate: done 4/4, 1 reused",
        "judge: done 4/4, 1 failed",
        "stand-in, no model is involved",
        "3.25*",
        "language",
        "25.0",
    ):
        assert expected in outcome.out
    assert "- URIAL helps [31mclarity in French." in outcome.out  # the escape character itself is gone
    reports = list((plumbline.folder / "var" / "reports").iterdir())
    assert [path.read_text(encoding="utf-8") for path in reports] == ["<!doctype html><title>Rapport déjà prêt</title>"]
    assert reports[0].as_uri() in outcome.out


def test_run_uploads_what_the_file_names(coordinator, plumbline, write_spec):
    data = "x" * 1_000_000
    plumbline("run", write_spec(data=data), "--detach")
    sha256 = hashlib.sha256(data.encode()).hexdigest()
    assert (coordinator.folder / f"file-{sha256}").read_text() == data


def test_json_goes_to_standard_output_and_text_to_standard_error(coordinator, plumbline, write_spec):
    outcome = plumbline("run", write_spec(), "--json", "--report", "out/r.html")
    assert outcome.code == 0
    assert outcome.json["experiment"]["state"] == "completed"
    assert len(outcome.json["results"]["means"]) == 2 * 2 * 6
    assert outcome.json["report"] == str(plumbline.folder / "out" / "r.html")
    assert "Findings" in outcome.err


def test_running_an_unchanged_file_again_is_the_same_experiment(coordinator, plumbline, write_spec):
    first = plumbline("run", write_spec(), "--json")
    second = plumbline("run", write_spec(), "--json")
    assert second.json["experiment"]["id"] == first.json["experiment"]["id"]
    assert "is known with the same content; it is completed" in second.err
    assert len(plumbline("list", "--json").json["experiments"]) == 1


def test_an_id_of_other_content_is_refused(coordinator, plumbline, write_spec):
    assert plumbline("run", write_spec(), "--id", "mine", "--detach").code == 0
    outcome = plumbline("run", write_spec("otherwise"), "--id", "mine")
    assert outcome.code == 2
    assert "Choose another --id" in outcome.err


def test_what_is_done_anew_is_chosen_and_makes_another_experiment(coordinator, plumbline, write_spec):
    def submitted(*options):
        id = plumbline("run", write_spec(), "--detach", "--json", *options).json["experiment"]["id"]
        submission = json.loads((coordinator.folder / f"{id}.json").read_text())["submission"]
        return id, (submission["only"], submission["recorded_in"], submission["reuse"])

    plain, chosen = submitted()
    assert chosen == (None, None, True)
    assert submitted("--only", "judge", "--from", "other") == (f"{plain}-judge-other", ("judge", "other", True))
    assert submitted("--only", "analyze") == (f"{plain}-analyze", ("analyze", None, True))
    assert submitted("--no-reuse") == (f"{plain}-anew", (None, None, False))
    refused = plumbline("run", write_spec(), "--from", "other")
    assert refused.code == 2 and "--from needs --only" in refused.err


def test_detach_returns_at_once(coordinator, plumbline, write_spec):
    outcome = plumbline("run", write_spec("held"), "--detach", "--json")
    assert outcome.code == 0
    assert outcome.json["experiment"]["state"] == "running"
    assert f"plumbline watch {outcome.json['experiment']['id']}" in outcome.err


def test_check_says_what_a_run_would_do_and_runs_nothing(coordinator, plumbline, write_spec):
    outcome = plumbline("run", write_spec(), "--check")
    assert outcome.code == 0
    assert "instructions in fr" in outcome.out
    assert "Warning: The judge could not be asked." in outcome.out
    assert plumbline("run", write_spec(), "--check", "--json").json["generations"] == 8
    assert plumbline("list", "--json").json["experiments"] == []


def test_faults_are_printed_one_per_line_with_their_place(coordinator, plumbline, write_spec):
    path = write_spec()
    path.write_text(path.read_text().replace("languages: [en, fr]", "languages: []\nlangages: [fr]"))
    outcome = plumbline("run", path, "--json")
    assert outcome.code == 2
    assert outcome.err.splitlines()[0] == "2 fault(s) in the experiment file."
    assert [line.split(": ")[0] for line in outcome.err.splitlines()[1:]] == [
        f"  {path}:1 languages",
        f"  {path}:1 langages",
    ]
    assert [fault["place"] for fault in outcome.json["error"]["errors"]] == [
        f"{path}:1 languages",
        f"{path}:1 langages",
    ]


def test_a_failed_experiment_exits_with_1(coordinator, plumbline, write_spec):
    outcome = plumbline("run", write_spec("fails"), "--json")
    assert outcome.code == 1
    assert "the generator has no such model" in outcome.err
    assert outcome.json["experiment"]["state"] == "failed"
    again = plumbline("run", write_spec("fails"))
    assert again.code == 1
    assert "give it another --id" in again.out


def test_a_cancelled_experiment_exits_with_5(coordinator, plumbline, write_spec):
    id = plumbline("run", write_spec("held"), "--detach", "--json").json["experiment"]["id"]
    assert plumbline("cancel", id).code == 0
    assert plumbline("watch", id).code == 5


@pytest.mark.parametrize(
    "arguments", [("run", "absent.yaml"), ("run",), ("run", "x.yaml", "--nonsense"), ("nonsense",)]
)
def test_wrong_usage_exits_with_2(plumbline, arguments):
    assert plumbline(*arguments).code == 2


def test_a_missing_data_file_is_told_before_anything_is_sent(plumbline, write_spec):
    path = write_spec()
    (path.parent / "data" / "items.jsonl").unlink()
    outcome = plumbline("run", path)
    assert outcome.code == 2
    assert f"{path}:5 dataset.path: {path.parent / 'data' / 'items.jsonl'} is not a file" in outcome.err


def test_no_coordinator_exits_with_3_and_says_what_to_do(own_coordinator, plumbline, write_spec):
    outcome = plumbline("run", write_spec())
    assert outcome.code == 3
    assert "does not answer" in outcome.err
    assert "Start it with `plumbline up`" in outcome.err
    assert "Traceback" not in outcome.err


def test_a_file_larger_than_the_coordinator_takes_is_told(own_coordinator, plumbline, write_spec):
    own_coordinator.start(PLUMBLINE_MAX_REQUEST_BYTES="1000000", COORDINATOR_MAX_REQUEST_BYTES="1000000")
    outcome = plumbline("run", write_spec(data="x" * 6_000_000))
    assert outcome.code == 2, outcome.err
    assert "larger than 1000000 bytes" in outcome.err


def test_the_token_is_sent(own_coordinator, plumbline, write_spec):
    own_coordinator.start(PLUMBLINE_TOKEN="secret")
    refused = plumbline("list")
    assert refused.code == 2
    assert "PLUMBLINE_TOKEN" in refused.err
    assert plumbline("list", PLUMBLINE_TOKEN="secret").code == 0


def test_help_and_version(plumbline):
    assert "Exit codes" in plumbline("--help").out
    assert "plumbline run experiments/quickstart.yaml" in plumbline("run", "--help").out
    assert plumbline("--version").out == "plumbline 0.1.0\n"


def test_plan_says_what_a_run_would_cost_and_runs_nothing(coordinator, plumbline, write_spec):
    outcome = plumbline("plan", write_spec())
    assert (
        "translate" in outcome.out
        and "prompt tokens" in outcome.out
        and "items a language show a difference" in outcome.out
    )
    assert plumbline("plan", write_spec(), "--json").json["check"]["items"]
