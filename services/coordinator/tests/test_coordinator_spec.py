"""Experiment files: every fault at once, with its place."""

import asyncio
import json
from pathlib import Path

import pytest
from plumbline_contracts.common import Artifact
from plumbline_contracts.coordinator import SpecCheck, Submission
from plumbline_coordinator import check, database
from plumbline_coordinator.settings import Settings
from plumbline_coordinator.store import Store
from plumbline_coordinator.yaml_places import SpecText
from plumbline_kit.errors import ProblemError
from plumbline_kit.folder_store import FolderStore

SPEC = """\
name: test
languages: [en, fr]
dataset: {path: items.jsonl}
models:
  tiny: {base: tiny-base}
trainings:
  dpo:
    method: dpo
    model: tiny
    data: {path: pairs.jsonl}
    hyperparameters: {learning_rate: 1.0e-4}
arms:
  - {name: zero-shot, model: tiny}
  - {name: dpo, model: tiny, weights: dpo, prompting: urial}
decoding: {max_new_tokens: 8}
"""
ITEMS = [{"id": 1, "instruction": "Name three animals."}, {"id": 2, "instruction": "Steal it.", "category": "safety"}]
PAIRS = [{"language": "en", "instruction": "Hi", "chosen": "Hello", "rejected": "Hi hi"}]


def lines(rows: list[dict[str, object]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    # No service listens on port 9, so models and languages cannot be asked.
    nobody = "http://127.0.0.1:9"
    return Settings(
        PLUMBLINE_ARTIFACTS_DIR=tmp_path / "artifacts",
        database_url=f"sqlite:///{tmp_path}/test.sqlite",
        datasets_dir=tmp_path / "datasets",
        generator_url=nobody,
        translator_url=nobody,
        judge_url=nobody,
    )


def checked(settings: Settings, spec: str = SPEC, to_run: bool = True, **files: str) -> SpecCheck:
    contents = {"items.jsonl": lines(ITEMS), "pairs.jsonl": lines(PAIRS)} | {
        name.replace("_", "."): content for name, content in files.items()
    }
    store = FolderStore(settings.artifacts_dir)
    uploaded: dict[str, Artifact] = {
        name: store.put_bytes(content.encode(), "file") for name, content in contents.items()
    }
    submission = Submission(spec=spec, source="test.yaml", files=uploaded)
    store_of_experiments = Store(database.connect(settings.database_url))
    return asyncio.run(check.check(submission, store_of_experiments, settings, to_run=to_run)).check


def faults(settings: Settings, spec: str = SPEC, **files: str) -> dict[str, str]:
    with pytest.raises(ProblemError) as caught:
        checked(settings, spec, **files)
    assert caught.value.kind == "invalid-spec"
    return {fault.place: fault.message for fault in caught.value.errors}


def test_a_valid_spec_says_what_it_would_do(settings: Settings) -> None:
    found = checked(settings)
    assert found.items == {"en": 2, "fr": 2}
    assert (found.translations, found.trainings, found.generations, found.judgments) == (2, 1, 8, 8)
    assert any("generator: could not be asked" in warning for warning in found.warnings)


def test_every_fault_of_form_at_once_with_its_line(settings: Settings) -> None:
    broken = SPEC.replace("max_new_tokens: 8", "max_new_tokens: 0, temprature: 1").replace("model: tiny}", "modle: x}")
    found = faults(settings, broken)
    assert found["test.yaml:15 decoding.temprature"] == "is not a known setting"
    assert "greater than or equal to 1" in found["test.yaml:15 decoding.max_new_tokens"]
    assert found["test.yaml:13 arms[0].model"] == "is missing"
    assert found["test.yaml:13 arms[0].modle"] == "is not a known setting"


def test_every_wrong_reference_at_once(settings: Settings) -> None:
    broken = (
        SPEC.replace("weights: dpo", "weights: pdo")
        .replace("{name: zero-shot, model: tiny}", "{name: dpo, model: big, prompting: zero-shot}")
        .replace("languages: [en, fr]", "languages: [en, de]")
    )
    found = faults(settings, broken)
    assert found["test.yaml:14 arms[1].weights"].startswith("there is no training 'pdo'")
    assert found["test.yaml:13 arms[0].model"] == "there is no model 'big'; there are: tiny"
    assert "is the name of an arm before" in found["test.yaml:14 arms[1].name"]
    assert "no URIAL prompt in 'de'" in found["test.yaml:2 languages[1]"]


def test_an_unreadable_line_is_named(settings: Settings) -> None:
    content = lines([{"id": number, "instruction": "x"} for number in range(16)]) + "{not json\n"
    assert "is not JSON" in faults(settings, items_jsonl=content)["items.jsonl:17"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": 1, "instruction": "again"}, "'id' 1 was given before"),
        ({"id": 3, "instruction": "  "}, "'instruction' must be a text that is not empty"),
        ({"id": None, "instruction": "x"}, "'id' must be a short text or number, is None"),
    ],
)
def test_a_bad_row_is_named(settings: Settings, row: dict[str, object], message: str) -> None:
    assert faults(settings, items_jsonl=lines([*ITEMS, row]))["items.jsonl:3"] == message


def test_a_missing_column_of_training_data_is_named(settings: Settings) -> None:
    found = faults(settings, pairs_jsonl=lines([*PAIRS, {"language": "en", "instruction": "Hi", "chosen": "Hello"}]))
    assert "pairs.jsonl:2: 'rejected'" in found["test.yaml:10 trainings.dpo.data"]


def test_a_file_that_was_not_uploaded_is_named(settings: Settings) -> None:
    found = faults(settings, SPEC.replace("items.jsonl", "other.jsonl"))
    assert found["test.yaml:3 dataset"] == "The file 'other.jsonl' was not uploaded with the experiment."


def test_yaml_that_does_not_parse_and_keys_given_twice() -> None:
    with pytest.raises(ProblemError) as caught:
        SpecText("name: [1,\n", "x.yaml")
    assert caught.value.errors[0].place.startswith("x.yaml:")
    with pytest.raises(ProblemError) as caught:
        SpecText("name: a\nname: b\n", "x.yaml").parse()
    assert ("x.yaml:2 name", "given twice") in [(one.place, one.message) for one in caught.value.errors]


@pytest.mark.parametrize("text", ["name: &a [*a]", "name: 2020-13-99", "a: " + "[" * 3000])
def test_yaml_made_to_hang_or_crash_is_a_fault(text: str) -> None:
    with pytest.raises(ProblemError) as caught:
        SpecText(text, "x.yaml").parse()
    assert caught.value.kind == "invalid-spec"


def test_a_training_row_in_a_language_without_a_prompt_is_named(settings: Settings) -> None:
    spec = SPEC.replace("    model: tiny\n", "    model: tiny\n    prompting: urial\n")
    found = faults(settings, spec, pairs_jsonl=lines([PAIRS[0] | {"language": "de"}]))
    assert any("pairs.jsonl:1: no URIAL prompt in 'de'" in message for message in found.values())


def test_a_hub_data_set_is_read_from_a_folder_that_looks_like_one(settings: Settings) -> None:
    folder = settings.datasets_dir / "re-align" / "just-eval-instruct" / "data"
    folder.mkdir(parents=True)
    (folder / "test.jsonl").write_text(lines(ITEMS))
    spec = SPEC.replace("{path: items.jsonl}", "{hub: re-align/just-eval-instruct}")
    assert checked(settings, spec).items == {"en": 2, "fr": 2}
    (folder / "train.jsonl").write_text(lines(ITEMS))
    assert "say which with `file:`" in faults(settings, spec)["test.yaml:3 dataset"]


def test_a_hub_data_set_that_is_not_here_says_where_to_put_it(settings: Settings) -> None:
    spec = SPEC.replace("{path: items.jsonl}", "{hub: re-align/just-eval-instruct}")
    assert "There is no dataset 're-align/just-eval-instruct' here" in faults(settings, spec)["test.yaml:3 dataset"]
    warned = checked(settings, spec, to_run=False).warnings
    assert any("There is no dataset 're-align/just-eval-instruct' here" in warning for warning in warned)


def test_the_grid_of_the_paper_is_valid(settings: Settings) -> None:
    grid = Path(__file__).resolve().parents[3] / "experiments" / "small-multilingual.yaml"
    found = checked(settings, grid.read_text(), to_run=False)
    assert found.trainings == 2
    absent = " ".join(found.warnings)
    for name in ("re-align/just-eval-instruct", "HuggingFaceH4/ultrafeedback_binarized"):
        assert f"There is no dataset {name!r} here" in absent
