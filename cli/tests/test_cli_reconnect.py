"""Watching goes on when the coordinator goes away and comes back; Ctrl-C leaves the experiment running."""

import json
import signal


def step_of(coordinator, id):
    return json.loads((coordinator.folder / f"{id}.json").read_text())["step"]


def test_run_survives_a_restart_of_the_coordinator(own_coordinator, plumbline, write_spec, wait_until):
    own_coordinator.start(COORDINATOR_TICK="0.3")
    process = plumbline.start("run", write_spec(), "--id", "one", "--json")
    wait_until(lambda: (own_coordinator.folder / "one.json").exists() and step_of(own_coordinator, "one") >= 3)
    own_coordinator.kill()
    assert process.stderr is not None
    for line in process.stderr:
        if "went away" in line:
            break
    own_coordinator.start()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "The coordinator is back." in err
    assert "Traceback" not in err
    assert json.loads(out)["experiment"]["state"] == "completed"


def test_patience_is_bounded(own_coordinator, plumbline, write_spec, wait_until):
    own_coordinator.start()
    process = plumbline.start("run", write_spec("held"), "--id", "one", "--patience", "1")
    wait_until(lambda: (own_coordinator.folder / "one.json").exists() and step_of(own_coordinator, "one") >= 3)
    own_coordinator.kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "plumbline watch one" in err
    assert "Traceback" not in err


def test_interrupting_leaves_the_experiment_running(own_coordinator, plumbline, write_spec, wait_until):
    own_coordinator.start()
    process = plumbline.start("run", write_spec("held"), "--id", "one")
    wait_until(lambda: (own_coordinator.folder / "one.json").exists() and step_of(own_coordinator, "one") >= 3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "plumbline watch one" in err
    assert "plumbline cancel one" in err
    assert "Traceback" not in err
    assert plumbline("status", "one", "--json").json["state"] == "running"
