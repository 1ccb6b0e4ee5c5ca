"""The public Python client."""

import asyncio

import pytest
from plumbline import ExperimentFile, PlumblineClient
from plumbline_contracts.coordinator import ExperimentState
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
            return client.experiments()

    assert asyncio.run(notebook()) == []


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
