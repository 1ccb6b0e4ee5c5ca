"""`plumbline list`, `status`, `cancel`, `report`, and what they say when they cannot."""

import pytest


def test_list_and_status(coordinator, plumbline, write_spec):
    assert "no experiments yet" in plumbline("list").out
    plumbline("run", write_spec(), "--id", "one")
    plumbline("run", write_spec("held"), "--id", "two", "--detach")
    listed = plumbline("list").out
    assert "Étude d'été" in listed
    assert {one["id"] for one in plumbline("list", "--json").json["experiments"]} == {"one", "two"}
    status = plumbline("status", "one")
    tokens = "urial in fr: prompts 1,000 (90% of it cached), written 50, saved by ending loops 7"
    assert tokens in status.out
    assert status.code == 0
    assert "judge      done 4/4, 1 failed" in status.out
    assert plumbline("status", "two", "--json").json["state"] == "running"


def test_cancel_says_when_it_had_ended_before(coordinator, plumbline, write_spec):
    plumbline("run", write_spec("held"), "--id", "two", "--detach")
    assert plumbline("cancel", "two", "--json").json["state"] == "cancelled"
    assert "had ended before: cancelled" in plumbline("cancel", "two").out


def test_report_is_saved_where_asked(coordinator, plumbline, write_spec):
    plumbline("run", write_spec(), "--id", "one")
    outcome = plumbline("report", "one", "--output", "deep/er/one.html", "--json")
    assert outcome.json["report"] == str(plumbline.folder / "deep" / "er" / "one.html")
    assert "déjà" in (plumbline.folder / "deep" / "er" / "one.html").read_text(encoding="utf-8")
    assert plumbline("report", "one", PLUMBLINE_HOME="home").code == 0
    assert (plumbline.folder / "home" / "reports" / "one.html").exists()


def test_a_report_with_its_parts_goes_into_a_new_folder(coordinator, plumbline, write_spec):
    plumbline("run", write_spec(), "--id", "one")
    outcome = plumbline("report", "one", "--folder", "paper", "--json")
    assert outcome.json["report"] == str(plumbline.folder / "paper" / "report.html")
    assert (plumbline.folder / "paper" / "tables" / "means.csv").read_text() == "arm,mean\n"
    again = plumbline("report", "one", "--folder", "paper")
    assert (again.code, "not empty" in again.err) == (2, True)


def test_report_of_an_unfinished_experiment_exits_with_6(coordinator, plumbline, write_spec):
    plumbline("run", write_spec("held"), "--id", "two", "--detach")
    outcome = plumbline("report", "two", "--output", "two.html")
    assert outcome.code == 6
    assert "has not finished" in outcome.err
    assert not (plumbline.folder / "two.html").exists()


def test_a_report_that_cannot_be_written_is_told_without_a_traceback(coordinator, plumbline, write_spec):
    plumbline("run", write_spec(), "--id", "one")
    (plumbline.folder / "file").write_text("")
    outcome = plumbline("report", "one", "--output", "file/one.html")
    assert outcome.code == 6
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("command", ["status", "watch", "cancel", "report"])
def test_an_unknown_experiment_exits_with_4(coordinator, plumbline, command):
    outcome = plumbline(command, "absent")
    assert outcome.code == 4
    assert "'absent'" in outcome.err


@pytest.mark.parametrize("id", ["../files", "a b", ""])
def test_what_is_no_id_exits_with_2(plumbline, id):
    assert plumbline("status", id).code == 2


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://x", "http://", "nonsense"])
def test_what_is_no_url_exits_with_2(plumbline, url):
    outcome = plumbline("list", "--url", url)
    assert outcome.code == 2
    assert "is not an address of a coordinator" in outcome.err


def test_pause_resume_and_retry(coordinator, plumbline, write_spec):
    plumbline("run", write_spec("held"), "--id", "two", "--detach")
    assert "To go on: plumbline resume two" in plumbline("pause", "two").out
    watched = plumbline("watch", "two")
    assert (watched.code, "Experiment two paused" in watched.err) == (7, True)
    resumed = plumbline("resume", "two", "--calls", "500", "--json").json
    assert (resumed["state"], resumed["attempt"], resumed["limits"]["calls"]) == ("running", 2, 500)
    assert plumbline("resume", "two", "--hours", "0").code == 2
    plumbline("run", write_spec(), "--id", "one")
    assert plumbline("retry", "one").code == 2
    assert "Nothing has failed" in plumbline("retry", "one", "--failed").out
