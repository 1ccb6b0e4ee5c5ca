"""The public Python client."""

import asyncio
import re
from pathlib import Path

import pytest
from plumbline import AsyncPlumblineClient, ExperimentFile, PlumblineClient
from plumbline_contracts.coordinator import ExperimentQuery, ExperimentState, ResponseQuery
from plumbline_kit.errors import ProblemError


def test_from_file_to_findings(coordinator, write_spec):
    with PlumblineClient(coordinator.url) as client:
        experiment = client.submit(ExperimentFile.read(write_spec()))
        *_, last = client.watch(experiment.id)
        assert last.state is ExperimentState.COMPLETED
        assert len(client.results(experiment.id).findings) == 1
        assert len(list(client.responses(experiment.id))) == 8
        assert client.report(experiment.id).startswith("<!doctype html>")
        assert [one.id for one in client.experiments()] == [experiment.id]


def test_it_works_inside_a_running_event_loop(coordinator):
    async def notebook():
        with PlumblineClient(coordinator.url) as client:
            return list(client.experiments())

    assert asyncio.run(notebook()) == []


def test_pages_are_followed_and_filters_sent(coordinator, write_spec):
    with PlumblineClient(coordinator.url) as client:
        for number in range(5):  # more than a page of the stand-in
            id = client.submit(ExperimentFile.read(write_spec("held")), f"paged-{number}").id
        client.cancel(id)
        assert len([one for one in client.experiments() if one.id.startswith("paged-")]) == 5
        cancelled = client.experiments(ExperimentQuery(state=[ExperimentState.CANCELLED]))
        assert id in [one.id for one in cancelled]
        assert {one.arm for one in client.responses(id, ResponseQuery(arm=["urial"]))} == {"urial"}


def test_waiting_has_a_limit(coordinator, write_spec):
    with PlumblineClient(coordinator.url) as client:
        client.submit(ExperimentFile.read(write_spec("held")), "held-for-long")
        with pytest.raises(TimeoutError):
            client.wait("held-for-long", timeout=0.5)


def test_the_asynchronous_client_does_the_same(coordinator, write_spec):
    async def program():
        async with AsyncPlumblineClient(coordinator.url) as client:
            experiment = await client.submit(ExperimentFile.read(write_spec()), "asynchronous")
            ended = await client.wait(experiment.id)
            responses = [one async for one in client.responses(experiment.id)]
            return ended.state, len(responses), len((await client.results(experiment.id)).findings)

    assert asyncio.run(program()) == (ExperimentState.COMPLETED, 8, 1)


README = (Path(__file__).resolve().parents[1] / "README.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=[one.splitlines()[0] for one in EXAMPLES])
def test_the_examples_of_the_readme_run(example, coordinator, write_spec, monkeypatch):
    spec = write_spec()
    monkeypatch.chdir(spec.parent)
    here = example.replace("http://127.0.0.1:8000", coordinator.url).replace("experiments/quickstart.yaml", spec.name)
    exec(compile(here, "README.md", "exec"), {"__name__": "example"})


def test_a_watch_may_be_left_early(coordinator, write_spec):
    with PlumblineClient(coordinator.url) as client:
        id = client.submit(ExperimentFile.read(write_spec("held"))).id
        for _ in client.watch(id):
            break
        assert client.cancel(id).state is ExperimentState.CANCELLED


def test_an_error_is_an_exception_of_its_kind(coordinator, write_spec):
    with PlumblineClient(coordinator.url) as client:
        with pytest.raises(ProblemError) as caught:
            client.results("absent")
        assert (caught.value.kind, caught.value.status) == ("not-found", 404)


def test_a_file_that_changed_after_it_was_read_is_refused(coordinator, write_spec):
    path = write_spec()
    experiment = ExperimentFile.read(path)
    (path.parent / "data" / "items.jsonl").write_text("something else")
    with PlumblineClient(coordinator.url) as client, pytest.raises(ProblemError) as caught:
        client.submit(experiment)
    assert caught.value.kind == "digest-mismatch"
