"""Settings that cannot work are refused at start, in words."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"GENERATOR_ENGINE": "openai"}, "needs GENERATOR_BACKEND_URL"),
        ({"GENERATOR_ENGINE": "openai", "GENERATOR_BACKEND_URL": ""}, "needs GENERATOR_BACKEND_URL"),
        ({"GENERATOR_ENGINE": "openai", "GENERATOR_BACKEND_URL": "vllm:8000/v1"}, "GENERATOR_BACKEND_URL"),
        ({"GENERATOR_ENGINE": "magic"}, "GENERATOR_ENGINE"),
    ],
)
def test_a_fault_is_named_and_ends_the_process(settings: dict[str, str], named: str) -> None:
    command = [sys.executable, "-m", "plumbline_generator"]
    ended = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert named in ended.stderr
