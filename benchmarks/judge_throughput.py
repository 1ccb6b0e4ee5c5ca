"""The judge service against one call after another, as just-eval and most scripts ask, and against the ideal.

    python benchmarks/judge_throughput.py [--items 1000] [--latency 0.2] [--concurrency 64] [--awake] [--long 0]

The judge model is a stand-in that answers after `--latency` seconds, whoever asks. The loop is measured on a sample and
scaled to all items. `--awake` keeps the machine's cores from sleeping between answers. `--long N` adds N items against
a stand-in without latency, and the memory along the way.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import aiohttp
import httpx
from openai import OpenAI

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from benchmarks.stand_in import cores_awake, serve  # noqa: E402
from tests.stack import free_port, wait_for  # noqa: E402

ASPECTS = ("helpfulness", "clarity", "factuality", "depth", "engagement")
REPLY = json.dumps({aspect: {"rationale": f"On {aspect}: " + "because. " * 12, "score": "4"} for aspect in ASPECTS})
BATCH, IN_FLIGHT, SAMPLE = 64, 4, 25
TLS = httpx.create_ssl_context(trust_env=False)  # made before the clock runs: it is not the service's time


def stand_in(port: int, latency: float) -> None:
    """Answers every request with the same completion."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": REPLY}}
    whole = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
    answer = latency, json.dumps(whole).encode()
    serve(port, lambda path, body: answer)


@contextmanager
def process(port: int, *command: str, **environment: str) -> Iterator[int]:
    """A process that listens on the port; its id."""
    with subprocess.Popen([sys.executable, *command], env=os.environ | environment) as running:
        try:
            wait_for(lambda: listens(port), 60, f"{command}")
            yield running.pid
        finally:
            running.terminate()


def listens(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def service(latency: float, concurrency: int) -> Iterator[tuple[str, str, int]]:
    """URL of the stand-in, URL of the judge in front of it, process id of the judge."""
    model, port = free_port(), free_port()
    settings = {
        "JUDGE_IMPLEMENTATION": "openai", "JUDGE_MODEL": "m", "JUDGE_BACKEND_URL": f"http://127.0.0.1:{model}/v1",
        "JUDGE_PORT": str(port), "JUDGE_CONCURRENCY": str(concurrency), "PLUMBLINE_LOG_LEVEL": "warning",
    }  # fmt: skip
    with (
        process(model, __file__, "--serve", str(model), "--latency", str(latency)),
        process(port, "-m", "plumbline_judge", **settings) as pid,
    ):
        yield f"http://127.0.0.1:{model}/v1", f"http://127.0.0.1:{port}", pid


def item(number: int) -> dict[str, str]:
    response = f"Answer {number}. " + "It goes on for a while, as answers do. " * 20
    return {"id": str(number), "instruction": f"Question {number}?", "response": response, "language": "en"}


async def judge(url: str, first: int, count: int) -> tuple[list[float], float]:
    """Scores of so many items, in requests of BATCH items of which IN_FLIGHT are under way, and the seconds."""
    slots, limits = asyncio.Semaphore(IN_FLIGHT), httpx.Limits(max_connections=IN_FLIGHT)
    async with httpx.AsyncClient(base_url=url, timeout=600, trust_env=False, limits=limits, verify=TLS) as client:

        async def ask(body: str) -> list[float]:
            async with slots:
                answer = await client.post("/v1/judgments", content=body, headers={"Content-Type": "application/json"})
                judgments = answer.raise_for_status().json()["judgments"]
                return [score["score"] for one in judgments for score in one["scores"]]

        numbers = range(first, first + count)
        batches = [numbers[start : start + BATCH] for start in range(0, count, BATCH)]
        bodies = [json.dumps({"rubric": "just-eval-multi", "items": [*map(item, batch)]}) for batch in batches]
        await asyncio.gather(*(client.get("/livez") for _ in range(IN_FLIGHT)))  # connections are made
        start = time.perf_counter()
        found = await asyncio.gather(*map(ask, bodies))
        return [score for scores in found for score in scores], time.perf_counter() - start


async def bare(url: str, count: int, concurrency: int) -> float:
    """Seconds of so many calls by aiohttp alone, as many at a time: what the machine and the stand-in allow."""
    slots = asyncio.Semaphore(concurrency)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask(number: int) -> None:
            async with slots, session.post(f"{url}/chat/completions", json=item(number)) as answer:
                json.loads(await answer.read())

        await asyncio.gather(*map(ask, range(concurrency)))  # connections are made
        start = time.perf_counter()
        await asyncio.gather(*map(ask, range(count)))
        return time.perf_counter() - start


def loop(url: str, count: int) -> list[float]:
    """As just-eval asks: one call, its reply parsed, the next."""
    scores, client = [], OpenAI(base_url=url, api_key="none")
    for number in range(count):
        one = item(number)
        content = f"{one['instruction']}\n\n{one['response']}"
        reply = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": content}], temperature=0
        )
        verdict = json.loads(reply.choices[0].message.content or "")
        scores += [float(verdict[aspect]["score"]) for aspect in ASPECTS]
    return scores


def peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024


def row(what: str, items: int, seconds: float, ideal: float, memory: str = "") -> None:
    print(
        f"{what:34} {items:>8} {seconds:>9.2f} {items / seconds:>9.1f} {seconds / ideal:>9.3f} {memory:>10}", flush=True
    )


def compare(items: int, latency: float, concurrency: int) -> None:
    ideal = items * latency / concurrency
    with service(latency, concurrency) as (model, url, pid):
        asyncio.run(judge(url, 10**9, BATCH))  # its connections are made, and what the server offers is known
        scores, seconds = asyncio.run(judge(url, 0, items))
        assert scores == [4.0] * 5 * items
        floor = asyncio.run(bare(model, items, concurrency))
        start = time.perf_counter()
        assert loop(model, SAMPLE) == scores[: 5 * SAMPLE]
        one_by_one = (time.perf_counter() - start) * items / SAMPLE
        row(f"ideal, {latency} s / {concurrency}", items, ideal, ideal)
        row("aiohttp alone", items, floor, ideal)
        row("judge service", items, seconds, ideal, f"{peak_mb(pid):.0f} MB")
        row(f"loop (from {SAMPLE} items, scaled)", items, one_by_one, ideal)


def long(items: int, concurrency: int) -> None:
    """No latency: what the service itself costs per item, and whether that or its memory grows."""
    with service(0.0, concurrency) as (_, url, pid):
        asyncio.run(judge(url, 10**9, BATCH))
        done = 0
        for upto in sorted({min(items, 1000), items // 4, items // 2, items}):
            count = upto - done
            scores, seconds = asyncio.run(judge(url, done, count))
            assert scores == [4.0] * 5 * count
            done = upto
            print(
                f"items up to {upto:>7}: {1000 * seconds / count:6.2f} ms an item, peak {peak_mb(pid):.0f} MB",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--awake", action="store_true", help="keep the cores from sleeping between answers (Linux)")
    parser.add_argument("--long", type=int, default=0)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        stand_in(given.serve, given.latency)
    print(f"{'':34} {'items':>8} {'seconds':>9} {'items/s':>9} {'x ideal':>9} {'peak':>10}")
    with cores_awake() if given.awake else nullcontext():
        compare(given.items, given.latency, given.concurrency)
    if given.long:
        long(given.long, given.concurrency)


if __name__ == "__main__":
    main()
