"""Counters of tokens."""

import asyncio
import json
from pathlib import Path

import pytest
from plumbline_contracts.generator import Generation
from plumbline_generator.canned import CannedGenerator
from plumbline_generator.counting import Counted, count
from prometheus_client import REGISTRY

NAMES = ("prompt_tokens", "cached_prompt_tokens", "computed_prompt_tokens", "completion_tokens", "loop_tokens_saved")


def counters() -> dict[str, float]:
    return {name: REGISTRY.get_sample_value(f"plumbline_generator_{name}_total") or 0 for name in NAMES}


def difference(before: dict[str, float]) -> tuple[float, ...]:
    return tuple(now - before[name] for name, now in counters().items())


def test_what_an_engine_completes_is_counted(ask, tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(json.dumps({"prompt": "a b", "text": "the dog ran. " * 100}))
    generator, before = Counted(CannedGenerator.load(file)), counters()
    request = ask("a b", "unknown", prefix="P ", max_new_tokens=900, stop_loops={"audit_share": 0})
    ended, failed = asyncio.run(generator.generate(request)).generations
    assert (ended.finish_reason, failed.finish_reason) == ("loop", "error")
    saved = 900 - ended.completion_tokens
    assert difference(before) == (3, 0, 0, ended.completion_tokens, saved) and saved > 0
    assert generator.info().implementation == "canned"


@pytest.mark.parametrize(("cached", "expected"), [(None, (100, 0, 0, 7, 0)), (90, (100, 90, 10, 7, 0))])
def test_an_engine_that_does_not_tell_what_it_cached_counts_for_no_rate(cached, expected) -> None:
    before = counters()
    count(
        Generation(
            id="1",
            text="a",
            raw_text="a",
            finish_reason="eos",
            prompt_tokens=100,
            completion_tokens=7,
            cached_prompt_tokens=cached,
            prompt_sha256=None,
            loop=None,
            audited=False,
            logprobs=None,
            prompt_logprobs=None,
            cause=None,
        )
    )
    assert difference(before) == expected
