"""Hub folders."""

import os
from pathlib import Path

import pytest
from plumbline_kit import hub
from plumbline_kit.errors import ProblemError


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
