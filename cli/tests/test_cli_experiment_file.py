"""Reading an experiment file: its default id, its local files, and what is wrong with it."""

from pathlib import Path

import pytest
from plumbline import ExperimentFile
from plumbline_kit.errors import ProblemError


def test_default_id_follows_the_content(write_spec):
    first = ExperimentFile.read(write_spec())
    again = ExperimentFile.read(write_spec())
    other_data = ExperimentFile.read(write_spec(data="{}\n"))
    other_text = ExperimentFile.read(write_spec("otherwise"))
    assert first.default_id == again.default_id
    assert first.default_id.startswith("etude-d-ete-")
    assert len({first.default_id, other_data.default_id, other_text.default_id}) == 3


def test_default_id_does_not_depend_on_where_the_file_lies(write_spec, tmp_path: Path):
    path = write_spec()
    before = ExperimentFile.read(path).default_id
    moved = path.parent.rename(tmp_path / "elsewhere") / path.name
    assert ExperimentFile.read(moved).default_id == before


def test_a_name_without_letters_still_makes_an_id(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_text("name: 测试\n", encoding="utf-8")
    assert ExperimentFile.read(path).default_id.startswith("experiment-")


def test_every_missing_file_is_named_with_its_place(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_text("dataset: {path: no.jsonl}\nprompts:\n  urial:\n    files:\n      fr: {path: .}\n")
    with pytest.raises(ProblemError) as caught:
        ExperimentFile.read(path)
    assert [fault.place for fault in caught.value.errors] == [
        f"{path}:1 dataset.path",
        f"{path}:5 prompts.urial.files.fr.path",
    ]
    assert "is a folder" in caught.value.errors[1].message


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"name: [1,\n", "x.yaml:2"), (b"\xff\xfe", "not UTF-8"), (b"", "1 to 1000000"), (b"a: b: c\n", "x.yaml:1")],
)
def test_a_broken_file_is_an_invalid_spec(tmp_path: Path, content: bytes, expected: str):
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(ProblemError) as caught:
        ExperimentFile.read(path)
    assert caught.value.kind == "invalid-spec"
    assert expected in str(caught.value)
