"""`plumbline up` and `down` with the real services, in their forms without a model."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest
from plumbline.commands.up import typed
from plumbline.local.processes import Record, RunFolder, process_of, stop
from plumbline.local.services import environment_for, local_services
from plumbline_contracts.export import CONTRACTS

from tests.stack import free_port

# Services outlive the command, which these tests call within their own process.
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
NAMES = [contract.NAME for contract in CONTRACTS]
MODEL_FREE = {
    "TRANSLATOR_ENGINE": "echo",
    "GENERATOR_ENGINE": "canned",
    "TRAINER_ENGINE": "dry_run",
    "JUDGE_IMPLEMENTATION": "rules",
}


@pytest.fixture
def home(tmp_path, plumbline, monkeypatch):
    """A home on free ports; whatever a failing test leaves running is ended."""
    for name in NAMES:
        monkeypatch.setenv(f"{name.upper()}_PORT", str(free_port()))
    for name, value in MODEL_FREE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PLUMBLINE_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    plumbline("down", "--grace", "1")


def records(home):
    return {file.stem: json.loads(file.read_text()) for file in (home / "run").glob("*.json")}


def need(*names):
    missing = [name for name in names if importlib.util.find_spec(f"plumbline_{name}") is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def test_the_whole_system_up_and_down(home, plumbline):
    need(*NAMES)
    first = plumbline("up", "--json", "--timeout", "180")
    assert first.code == 0, first.err
    services = {one["service"]: one for one in first.json["services"]}
    assert list(services) == NAMES
    assert all(one["started"] and one["info"] for one in services.values())
    assert services["judge"]["info"]["model"] is None
    assert "rules" in first.err and "none" in first.err
    again = plumbline("up", "--json")
    assert [one["pid"] for one in again.json["services"]] == [one["pid"] for one in services.values()]
    assert not any(one["started"] for one in again.json["services"])
    assert "Running already" in again.err
    # Everything that is kept lies under the home folder.
    assert (home / "coordinator.sqlite").exists()
    assert plumbline("list", "--url", services["coordinator"]["url"]).code == 0
    down = plumbline("down", "--json")
    assert set(down.json["ended"]) == set(NAMES)
    assert records(home) == {}
    assert plumbline("down").out.startswith("Nothing runs")


def test_what_to_type_next_works_wherever_the_program_is(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert subprocess.run([typed(), "--help"], stdout=subprocess.DEVNULL).returncode == 0
    (tmp_path / "plumbline").touch(0o755)
    assert typed() == "plumbline"


def test_one_service_can_be_restarted(home, plumbline):
    need("translator")
    assert plumbline("up", "--service", "translator").code == 0
    before = records(home)["translator"]["pid"]
    assert plumbline("down", "--service", "translator").out == "Ended: translator.\n"
    assert plumbline("up", "--service", "translator").code == 0
    assert records(home)["translator"]["pid"] != before


def test_services_outlive_the_command_and_its_interruption(home, plumbline):
    need("translator")
    process = plumbline.start("up", "--service", "translator")
    process.communicate(timeout=120)
    assert process.returncode == 0
    service = psutil.Process(records(home)["translator"]["pid"])
    assert os.getsid(service.pid) != os.getsid(0)
    assert service.is_running()


def test_a_service_that_dies_is_told_with_its_log_and_the_others_are_ended(home, plumbline, monkeypatch):
    need("translator", "judge")
    monkeypatch.setenv("JUDGE_IMPLEMENTATION", "oracle")
    outcome = plumbline("up")
    assert outcome.code == 3
    assert "The judge ended with exit status 2" in outcome.err
    assert "setting JUDGE_IMPLEMENTATION" in outcome.err
    assert records(home) == {}


def test_interrupting_up_ends_what_was_started(home, plumbline, wait_until):
    need(*NAMES)
    process = plumbline.start("up")
    wait_until(lambda: len(records(home)) == len(NAMES))
    pids = [record["pid"] for record in records(home).values()]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    # `python -m` ends by the signal itself where that came within an exec(), such as of a dataclass that is being
    # imported; a shell tells 130 of both.
    assert process.returncode in (130, -signal.SIGINT), err
    assert "ending what was started" in err
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids)


def test_a_port_in_use_is_told_before_anything_starts(home, plumbline):
    need("translator")
    with socket.create_server(("127.0.0.1", int(os.environ["TRANSLATOR_PORT"]))):
        outcome = plumbline("up", "--service", "translator")
    assert outcome.code == 3
    assert "is taken by another program" in outcome.err
    assert "TRANSLATOR_PORT" in outcome.err
    assert records(home) == {}


def test_what_only_a_person_can_mend_is_told_at_once_with_what_is_ready(home, plumbline, monkeypatch):
    need(*NAMES)
    monkeypatch.setenv("TRANSLATOR_ENGINE", "argos")
    outcome = plumbline("up", "--timeout", "100000")
    assert outcome.code == 3
    assert "waiting does not help: translator: There is no usable Argos package" in outcome.err
    assert "TRANSLATOR_ENGINE=echo" in outcome.err
    ready = outcome.err.split("Ready were: ")[1].split(".")[0]
    assert set(ready.split(", ")) == set(NAMES) - {"translator"}
    assert records(home) == {}


def test_what_is_not_ready_in_time_is_told_with_its_reason(home, plumbline, monkeypatch):
    need("generator")
    monkeypatch.setenv("GENERATOR_ENGINE", "openai")
    monkeypatch.setenv("GENERATOR_BACKEND_URL", f"http://127.0.0.1:{free_port()}/v1")  # it may come yet
    outcome = plumbline("up", "--service", "generator", "--timeout", "8")
    assert outcome.code == 3
    assert "Not ready after 8 seconds: generator: The inference server" in outcome.err
    assert records(home) == {}


def test_unknown_services_and_ports_exit_with_2(home, plumbline, monkeypatch):
    assert plumbline("up", "--service", "jury").code == 2
    monkeypatch.setenv("JUDGE_PORT", "high")
    outcome = plumbline("up")
    assert outcome.code == 2
    assert "JUDGE_PORT is 'high'" in outcome.err


def test_a_recycled_pid_is_never_ended(home, plumbline):
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        folder = RunFolder(home)
        folder.path.mkdir(parents=True)
        earlier = psutil.Process(bystander.pid).create_time() - 100
        folder.write("judge", Record(pid=bystander.pid, started=earlier, url="http://127.0.0.1:1"))
        assert process_of(Record(pid=bystander.pid, started=earlier + 100, url="")) is not None
        assert plumbline("down").out.startswith("Nothing runs")
        assert bystander.poll() is None
        assert records(home) == {}
    finally:
        bystander.kill()
        bystander.wait()


def test_what_ignores_sigterm_is_killed_with_its_children():
    stubborn = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); print('ready', flush=True); "
        "time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    parent.stdout.readline()
    process = psutil.Process(parent.pid)
    (child,) = process.children()
    assert stop([process], grace=0.2) == [process]
    assert parent.wait() == -signal.SIGKILL
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.05)
    parent.stdout.close()


def test_a_service_with_another_address_is_not_started_here():
    elsewhere = {
        one.name: one.elsewhere for one in local_services({"COORDINATOR_JUDGE_URL": "http://judge.example:80"})
    }
    assert elsewhere.pop("judge") == "http://judge.example:80"
    assert set(elsewhere.values()) == {None}
    same = local_services({"COORDINATOR_JUDGE_URL": "http://localhost:9004/", "JUDGE_PORT": "9004"})
    assert {one.elsewhere for one in same} == {None}


def test_the_environment_given_wins_over_the_defaults(tmp_path):
    given = {"GENERATOR_MODELS_DIR": "/models", "UNRELATED": "kept"}
    made = environment_for(tmp_path, {"judge": "http://127.0.0.1:9004", "coordinator": "http://127.0.0.1:9000"}, given)
    expected = SimpleNamespace(
        GENERATOR_MODELS_DIR="/models",
        UNRELATED="kept",
        TRAINER_MODELS_DIR=str(tmp_path / "models"),
        COORDINATOR_JUDGE_URL="http://127.0.0.1:9004",
        COORDINATOR_DATABASE_URL=f"sqlite:///{tmp_path}/coordinator.sqlite",
    )
    assert vars(expected).items() <= made.items()
    assert "COORDINATOR_COORDINATOR_URL" not in made
