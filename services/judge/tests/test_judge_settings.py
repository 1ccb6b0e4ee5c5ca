"""Settings that cannot work are refused at start, in words."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"JUDGE_IMPLEMENTATION": "openai"}, "JUDGE_BACKEND_URL and JUDGE_MODEL"),
        ({"JUDGE_IMPLEMENTATION": "openai", "JUDGE_MODEL": "m"}, "JUDGE_BACKEND_URL and JUDGE_MODEL"),
        ({"JUDGE_IMPLEMENTATION": "generator", "JUDGE_MODEL": "m"}, "JUDGE_IMPLEMENTATION=generator needs"),
        ({"JUDGE_BACKEND_URL": "localhost:8080"}, "JUDGE_BACKEND_URL"),
        ({"JUDGE_IMPLEMENTATION": "oracle"}, "JUDGE_IMPLEMENTATION"),
    ],
)
def test_a_fault_is_named_and_ends_the_process(settings: dict[str, str], named: str) -> None:
    command = [sys.executable, "-m", "plumbline_judge"]
    ended = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert named in ended.stderr
