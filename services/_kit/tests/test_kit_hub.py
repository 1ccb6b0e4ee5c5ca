"""Hub folders."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from plumbline_kit import hub
from plumbline_kit.errors import ProblemError

from tests.hub import running


def test_a_local_folder_stands_for_a_hub_repository(tmp_path: Path) -> None:
    for name in ("org/model", "org/model@v2", "plain"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
    for name in ("org/model", "org/model@v2", "plain"):
        assert hub.locate(name, tmp_path, "model", download=False) == tmp_path / name
    assert hub.names(tmp_path) == ["org/model", "org/model@v2", "plain"]


@pytest.mark.parametrize("reference", ["org/other", "../plain", "org/../plain", "/etc", "a/b/c"])
def test_what_is_not_there_is_a_problem_that_says_what_is(tmp_path: Path, reference: str) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "config.json").write_text("{}")
    with pytest.raises(ProblemError) as caught:
        hub.locate(reference, tmp_path, "model", download=False)
    assert caught.value.kind == "unknown-model"
    assert "plain" in caught.value.detail


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_files_that_this_user_may_not_read_are_named(tmp_path: Path) -> None:
    weights = tmp_path / "plain" / "model.safetensors"
    weights.parent.mkdir()
    weights.touch(mode=0)
    with pytest.raises(ProblemError, match=r"may not read model\.safetensors in .*chmod") as caught:
        hub.locate("plain", tmp_path, "model", download=False)
    assert caught.value.status == 503


# A process of its own, since the library reads its settings when it is imported.
LOCATE = """
import json, sys
from pathlib import Path
from plumbline_kit import hub
from plumbline_kit.errors import ProblemError

def located(reference):
    try:
        return str(hub.locate(reference, Path(sys.argv[1]), "model", download=True))
    except ProblemError as problem:
        return f"{problem.kind}: {problem.detail}"

print(json.dumps([[located(one) for one in sys.argv[2:]], {name: str(path) for name, path in hub.cached().items()}]))
"""


def located(home: Path, *references: str, **environment: str) -> tuple[list[str], dict[str, str]]:
    """What `locate` finds or says of each of these, and what is in the cache then."""
    environment = os.environ | {"HF_HOME": str(home)} | environment
    command = [sys.executable, "-c", LOCATE, str(home / "mirror"), *references]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    found, cached = json.loads(told)
    return found, cached


def test_a_download_is_kept_by_branch_tag_and_commit_and_found_again_offline(tmp_path: Path) -> None:
    first, second = "a" * 40, "b" * 40
    for commit in (first, second):
        folder = tmp_path / "origin" / commit
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(f'{{"commit": "{commit}"}}')
        (folder / "pytorch_model.bin").write_bytes(b"pickle")
    refs = {"main": tmp_path / "origin" / first, "v2": tmp_path / "origin" / second}
    snapshots = tmp_path.resolve() / "hub/models--org--m/snapshots"
    places = {"org/m": str(snapshots / first), "org/m@v2": str(snapshots / second)}
    with running({"org/m": refs}) as hub_server:
        online = {"HF_ENDPOINT": hub_server.address}
        found, cached = located(tmp_path, "org/m", "org/m@v2", f"org/m@{second}", "org/m@v3", "org/none", **online)
    assert found[:3] == [places["org/m"], places["org/m@v2"], places["org/m@v2"]]
    assert (cached, [path.name for path in (snapshots / first).iterdir()]) == (places, ["config.json"])
    assert "no revision 'v3' of it. Name a branch, a tag" in found[3]
    assert "no model 'org/none' that this token may read (HF_TOKEN)" in found[4]

    away = {"HF_ENDPOINT": hub_server.address}  # nobody listens there any more
    for more, kind, cause in (
        (away, "hub-unavailable", "download failed: ConnectError: "),
        ({"HF_HUB_OFFLINE": "1"}, "unknown-model", "HF_HUB_OFFLINE is set"),
    ):
        found, _ = located(tmp_path, "org/m", "org/m@v2", f"org/m@{second}", "org/m@v3", **more)
        assert found[:3] == [places["org/m"], places["org/m@v2"], places["org/m@v2"]]
        assert found[3].startswith(f"{kind}: ") and cause in found[3] and "Put its folder at" in found[3]
