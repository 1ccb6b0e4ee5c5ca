"""The judge that asks a model keeps its contract, like the rules (tests/contract) and judges of others."""

import json
import subprocess
import sys
from collections.abc import Callable


def test_the_openai_judge_conforms(start_backend: Callable[..., str], start_judge: Callable[..., str]) -> None:
    url = start_judge(start_backend())
    command = [sys.executable, "-m", "plumbline_conformance", "judge", "--url", url, "--examples", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-6000:]
    found = json.loads(done.stdout)
    assert found["info"]["model"] == "recorded"
    skipped = {check["name"] for check in found["checks"] if check["outcome"] == "skipped"}
    assert "words of a model come from a model that is named" in skipped
