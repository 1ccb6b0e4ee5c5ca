"""The generator's memory over many generations: the service as a process, asked over HTTP, on tinyworld-base.

    python benchmarks/generator_memory.py [--generations 10000]

Requests of 32 prompts, two at a time: behind a URIAL prefix that changes from time to time, zero-shot, sampled, with
log-probabilities, and some that are left in the middle. Prints the resident memory along the way.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.stack import free_port, wait_for  # noqa: E402

TINYWORLD = ROOT / "var" / "tinyworld"
BATCH, IN_FLIGHT, POINTS = 32, 2, 10


def request(number: int, draw: random.Random, prefixes: list[str], asked: list[str]) -> dict[str, Any]:
    prompts = [{"id": str(place), "text": f"{draw.choice(asked)}\n"} for place in range(BATCH)]
    decoding: dict[str, Any] = {"max_new_tokens": 48, "stop": ["# Query"], "seed": number}
    body: dict[str, Any] = {"model": "tinyworld-base", "prompts": prompts, "decoding": decoding}
    if number % 3:
        body["prefix"] = f"{draw.choice(prefixes)}# Note {number // 20}\n\n"  # a new one every 20 requests
    if number % 4 == 0:
        decoding |= {"temperature": 0.8, "repetition_penalty": 1.1}
    if number % 5 == 0:
        body["logprobs"] = 3
    return body


async def ask(port: int, pid: int, generations: int) -> None:
    draw = random.Random(0)  # noqa: S311
    lines = (TINYWORLD / "data" / "instructions.jsonl").read_text().splitlines()
    asked = [json.loads(line)["instruction"] for line in lines]
    prefixes = [path.read_text() for path in sorted((TINYWORLD / "prompts").glob("urial.*.txt"))]
    bodies = [request(number, draw, prefixes, asked) for number in range(-(-generations // BATCH))]
    done, shown, started = 0, 0, time.perf_counter()
    print(f"{'generations':>12} {'MB':>7} {'s':>7}")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=600, trust_env=False) as client:

        async def work() -> None:
            nonlocal done, shown
            while bodies:
                body = bodies.pop()
                if len(bodies) % 25 == 7:  # somebody loses patience
                    with suppress(httpx.ReadTimeout):
                        await client.post("/v1/generations", json=body, timeout=0.05)
                answer = (await client.post("/v1/generations", json=body)).raise_for_status().json()
                assert all(one["finish_reason"] != "error" for one in answer["generations"])
                done += BATCH
                if done * POINTS >= shown * generations:
                    print(f"{done:>12} {resident_mb(pid):>7.0f} {time.perf_counter() - started:>7.1f}", flush=True)
                    shown += 1

        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    print(f"{done:>12} {resident_mb(pid):>7.0f} {time.perf_counter() - started:>7.1f}")


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generations", type=int, default=10_000)
    generations = parser.parse_args().generations
    port = free_port()
    settings = {"GENERATOR_PORT": str(port), "GENERATOR_MODELS_DIR": str(TINYWORLD / "models")}
    settings |= {"PLUMBLINE_LOG_LEVEL": "warning", "PLUMBLINE_ARTIFACTS_DIR": str(ROOT / "var" / "no-artifacts")}
    environment = os.environ | settings
    with subprocess.Popen([sys.executable, "-m", "plumbline_generator"], env=environment) as service:
        try:
            wait_for(lambda: answers(port), 60, "the generator")
            asyncio.run(ask(port, service.pid, generations))
        finally:
            service.terminate()


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False).is_success
    except httpx.HTTPError:
        return False


if __name__ == "__main__":
    main()
