"""What the coordinator costs: items per second, memory, bytes, resuming, and how near to ideal a slow service is used.

.venv/bin/python -m benchmarks.orchestration --items 1000 10000 100000 --database sqlite postgresql
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any

import httpx
from plumbline_kit import connections

from benchmarks.instant_services import RUBRIC, score_of, text_of
from tests.postgresql import PostgreSQL, query
from tests.stack import Stack, free_port, wait_for

SPEC = f"""\
name: orchestration
languages: [en]
dataset: {{path: items.jsonl}}
models: {{instant: {{base: instant}}}}
arms: [{{name: zero-shot, model: instant}}]
decoding: {{max_new_tokens: 100}}
judges: [{{rubrics: {{regular: {RUBRIC}}}}}]
"""
LATENCY_S, AT_ONCE, SAMPLE = 0.2, 64, 25


def write_spec(folder: Path, items: int) -> Path:
    with (folder / "items.jsonl").open("w") as file:
        for number in range(items):
            file.write(json.dumps({"id": number, "instruction": f"Say what is special about {number}. " * 5}) + "\n")
    (folder / "orchestration.yaml").write_text(SPEC)
    return folder / "orchestration.yaml"


@contextmanager
def instant(latency: float) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.instant_services", str(port), str(latency)]
    with subprocess.Popen(command) as process:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: _answers(url), 30, "the instant services")
        try:
            yield url
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/judge/readyz", trust_env=False).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def coordinator(home: Path, database: str, url: str, **settings: str) -> Iterator[tuple[Stack, str]]:
    """A coordinator on a new database, and the URL of that."""
    services = {f"COORDINATOR_{name.upper()}_URL": f"{url}/{name}" for name in ("generator", "judge", "analyzer")}
    if database == "sqlite":
        with Stack(home, services | settings, ["coordinator"]) as stack:
            yield stack, stack.environment["COORDINATOR_DATABASE_URL"]
        return
    with PostgreSQL() as server:
        made = server.create("plumbline")
        with Stack(home, services | settings | {"COORDINATOR_DATABASE_URL": made}, ["coordinator"]) as stack:
            yield stack, made


def run(stack: Stack, spec: Path, items: int) -> dict[str, dict[str, Any]]:
    """Run to the end; the phases, after the results were checked."""
    stack.coordinator.http.timeout = httpx.Timeout(300)
    stack.coordinator.submit("run", spec).raise_for_status()
    ended = stack.coordinator.finish("run", 3600)
    assert ended["state"] == "completed", ended
    check(stack, items)
    return {phase["name"]: phase for phase in ended["phases"]}


def check(stack: Stack, items: int) -> None:
    """Every item was answered and judged, and by a sample, as whoever asks the services without us would get it."""
    for name in ("generate", "detect", "judge"):
        phase = stack.coordinator.phase("run", name)
        assert (phase["done"], phase["total"], phase["failed"]) == (items, items, 0), phase
    page = stack.coordinator.http.get("/v1/experiments/run/responses", params={"limit": 1000}).raise_for_status().json()
    for one in page["responses"]:
        expected = (text_of(one["item"]).strip(), [score_of(one["item"])])
        assert (one["response"], [score["score"] for score in one["judgments"]]) == expected, one
    assert len(page["responses"]) == min(items, 1000)


def seconds(phases: dict[str, dict[str, Any]], first: str, last: str) -> float:
    """From the start of one phase to the end of another."""
    started, ended = (datetime.fromisoformat(when) for when in (phases[first]["started"], phases[last]["finished"]))
    return (ended - started).total_seconds()


def processor_seconds(stack: Stack) -> float:
    """Of the coordinator alone; other work on the machine does not change it much."""
    fields = Path(f"/proc/{stack.processes['coordinator'].pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(stack: Stack) -> float:
    status = Path(f"/proc/{stack.processes['coordinator'].pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def database_bytes(stack: Stack, url: str) -> int:
    if url.startswith("sqlite"):
        return sum(path.stat().st_size for path in stack.home.glob("coordinator*.sqlite*"))
    return int(query(url, "select pg_database_size(current_database())")[0][0])


def throughput(database: str, items: int, concurrency: int) -> str:
    with tempfile.TemporaryDirectory() as folder, instant(0) as url:
        spec, settings = write_spec(Path(folder), items), {"COORDINATOR_CONCURRENCY": str(concurrency)}
        with coordinator(Path(folder) / "home", database, url, **settings) as (stack, made):
            empty, idle = database_bytes(stack, made), processor_seconds(stack)
            phases = run(stack, spec, items)
            took = {name: seconds(phases, name, name) for name in ("generate", "detect", "judge")}
            both, three = took["generate"] + took["judge"], seconds(phases, "generate", "judge")
            whole, per_item = seconds(phases, "prepare", "analyze"), (database_bytes(stack, made) - empty) / items
            return (
                f"| {database} | {items:,} | {items / both:,.0f} | {items / three:,.0f} | {items / whole:,.0f} "
                f"| {whole:.1f} | {1000 * (processor_seconds(stack) - idle) / items:.2f} | {peak_mb(stack):.0f} "
                f"| {per_item:,.0f} |"
            )


def resuming(database: str, items: int, concurrency: int) -> str:
    """kill -9 when half of the items are judged; how long till it is ready, and till it stores the next result."""
    with tempfile.TemporaryDirectory() as folder, instant(0) as url:
        spec, settings = write_spec(Path(folder), items), {"COORDINATOR_CONCURRENCY": str(concurrency)}
        with coordinator(Path(folder) / "home", database, url, **settings) as (stack, _):
            stack.coordinator.http.timeout = httpx.Timeout(300)
            stack.coordinator.submit("run", spec).raise_for_status()
            wait_for(lambda: stack.coordinator.phase("run", "judge")["done"] > items / 2, 3600, "half of the judgments")
            stack.kill("coordinator")
            started = time.monotonic()
            stack.start("coordinator")
            stack.wait_ready("coordinator")
            ready, done = time.monotonic() - started, stack.coordinator.phase("run", "judge")["done"]
            while stack.coordinator.phase("run", "judge")["done"] <= done < items:
                time.sleep(0.02)
            resumed = time.monotonic() - started
            assert stack.coordinator.finish("run", 3600)["state"] == "completed"
            check(stack, items)
            return f"| {database} | {items:,} | {done:,} | {ready:.1f} | {resumed:.1f} |"


def slow(database: str, requests: int, batch: int) -> str:
    """With a service that takes its time: the coordinator and the ideal, beside one call after another."""
    items = requests * batch
    with tempfile.TemporaryDirectory() as folder, instant(LATENCY_S) as url:
        spec = write_spec(Path(folder), items)
        settings = {"COORDINATOR_CONCURRENCY": str(AT_ONCE), "COORDINATOR_BATCH_SIZE": str(batch)}
        with coordinator(Path(folder) / "home", database, url, **settings) as (stack, _):
            phases = run(stack, spec, items)
        ideal = requests * LATENCY_S / AT_ONCE
        took = [seconds(phases, name, name) for name in ("generate", "judge")]
        loop, least = one_after_another(url) * items, asyncio.run(floor(url, requests, batch))
        seen = " | ".join(f"{each:.1f} ({each / ideal:.3f})" for each in (least, *took))
        return f"| {database} | {requests:,} | {batch} | {ideal:.1f} | {seen} | {loop:,.0f} | {loop / sum(took):,.0f} |"


async def floor(url: str, requests: int, batch: int) -> float:
    """Seconds of the coordinator's HTTP client alone: as many requests, of the same size, and nothing else."""
    prompts = [{"id": str(id), "text": f"Say what is special about {id}. " * 5} for id in range(batch)]
    body = {"model": "instant", "prompts": prompts, "decoding": {"max_new_tokens": 100}}
    left = iter(range(requests))
    async with connections.client(base_url=url, timeout=60) as client:

        async def ask() -> None:
            for _ in left:
                (await client.post("/generator/v1/generations", json=body)).raise_for_status()

        started = time.monotonic()
        await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
    return time.monotonic() - started


def one_after_another(url: str) -> float:
    """Seconds per item of the loop that a researcher would write, measured on a sample."""
    started = time.monotonic()
    with httpx.Client(trust_env=False) as client:
        for id in map(str, range(SAMPLE)):
            prompt = {"id": id, "text": f"Say what is special about {id}."}
            asked = {"model": "instant", "prompts": [prompt], "decoding": {"max_new_tokens": 100}}
            answer = client.post(f"{url}/generator/v1/generations", json=asked).json()
            item = {"id": id, "instruction": prompt["text"], "response": answer["generations"][0]["text"]}
            asked = {"rubric": RUBRIC, "items": [item | {"language": "en"}]}
            answer = client.post(f"{url}/judge/v1/judgments", json=asked).json()
            assert answer["judgments"][0]["scores"][0]["score"] == score_of(id)
    return (time.monotonic() - started) / SAMPLE


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, nargs="*", default=[1_000, 10_000], help="sizes for items per second")
    parser.add_argument("--resume", type=int, nargs="*", default=[], help="sizes for killing and resuming")
    parser.add_argument(
        "--slow", type=int, nargs="*", default=[], help=f"requests per stage that take {LATENCY_S} s each"
    )
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4], help="items per request of those")
    parser.add_argument("--database", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--concurrency", type=int, default=8, help="requests under way, with instant services")
    given = parser.parse_args(arguments)
    if given.items:
        print(
            "| database | items | generate + judge, items/s | with detect | whole run | whole run, s | CPU ms/item"
            " | peak MB | bytes/item |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for database in given.database:
            for items in given.items:
                print(throughput(database, items, given.concurrency), flush=True)
    if given.resume:
        print(
            "\n| database | items | judged when killed | ready after s | next result after s |\n|---|---|---|---|---|"
        )
        for database in given.database:
            for items in given.resume:
                print(resuming(database, items, given.concurrency), flush=True)
    if given.slow:
        print(f"\n{LATENCY_S} s per request, {AT_ONCE} at once; the loop asks for one item at a time")
        print(
            "| database | requests | items a request | ideal s | client alone s (ratio) | generate s (ratio)"
            " | judge s (ratio) | loop s (scaled) | times faster |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for database, requests, batch in product(given.database, given.slow, given.batch):
            print(slow(database, requests, batch), flush=True)


if __name__ == "__main__":
    main()
