"""Items, prompts, waiting and the store, each by itself."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import duckdb
import pytest
from plumbline_contracts.coordinator import PhaseName
from plumbline_contracts.experiment import DataSource, ExperimentSpec
from plumbline_coordinator import database, waiting
from plumbline_coordinator.flow import Flow
from plumbline_coordinator.items import Items, spread
from plumbline_coordinator.prompting import Prompting, builtin, builtin_languages
from plumbline_coordinator.rows import Outcome
from plumbline_coordinator.run import Run
from plumbline_coordinator.settings import Settings
from plumbline_coordinator.sources import Sources
from plumbline_coordinator.stages import STAGES
from plumbline_coordinator.stages.stage import chunks
from plumbline_coordinator.store import Store
from plumbline_coordinator.turn import Turn
from plumbline_kit.client import Unreachable
from plumbline_kit.errors import ProblemError
from plumbline_kit.folder_store import FolderStore
from pydantic import BaseModel, Field

ARMS = [{"name": "zero-shot", "model": "tiny"}, {"name": "URIAL", "model": "tiny", "prompting": "urial"}]


def spec(**changes: object) -> ExperimentSpec:
    return ExperimentSpec.model_validate(
        {
            "name": "test",
            "languages": ["en", "fr"],
            "dataset": {"path": "items.jsonl"},
            "models": {"tiny": {"base": "tiny-base"}},
            "arms": ARMS,
            "decoding": {"max_new_tokens": 8},
        }
        | changes
    )


def sources(tmp_path: Path, rows: list[dict[str, object]]) -> tuple[Sources, dict[str, object]]:
    store = FolderStore(tmp_path / "artifacts")
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return Sources(store, tmp_path, download=False), {"items.jsonl": store.put_bytes(content, "file")}


def test_items_are_shared_between_languages_and_translated_where_they_are_foreign(tmp_path: Path) -> None:
    row = {"id": 5, "instruction": "Hi", "reference": "Hello", "references": {"fr": "Bonjour"}, "task": ["coding"]}
    found, files = sources(tmp_path, [row])
    english, french = Items(spec(), files, found)  # type: ignore[arg-type]
    assert (english.item, english.translate, english.reference, english.category) == ("5", False, "Hello", "regular")
    assert (french.item, french.translate, french.reference, french.tasks) == ("5", True, "Bonjour", ["coding"])


def test_rows_that_say_their_language_are_native(tmp_path: Path) -> None:
    found, files = sources(
        tmp_path, [{"id": f"{one}-1", "prompt": f"hi {one}", "language": one} for one in ("fr", "de", "es")]
    )
    dataset = {"path": "items.jsonl", "fields": {"instruction": "prompt", "language": "language"}}
    items = Items(spec(languages=["fr", "es"], dataset=dataset), files, found)  # type: ignore[arg-type]
    assert [(one.language, one.item, one.translate) for one in items] == [("fr", "fr-1", False), ("es", "es-1", False)]


def test_a_sample_is_spread_over_the_file() -> None:
    assert list(spread(10, 4)) == [0, 2, 5, 7]
    assert list(spread(1, 4)) == [0]


def test_each_language_has_a_sample_of_its_own_and_the_data_set_can_be_gone_through_again(tmp_path: Path) -> None:
    rows = [{"id": n, "prompt": f"{n}?", "language": "fr" if n % 3 else "es"} for n in range(15)]
    found, files = sources(tmp_path, rows)  # es: 0, 3, 6, 9, 12; fr: the ten others
    dataset = {"path": "items.jsonl", "limit": 2, "fields": {"instruction": "prompt", "language": "language"}}
    items = Items(spec(languages=["fr", "es"], dataset=dataset), files, found)  # type: ignore[arg-type]
    chosen = [("es", "0", 0), ("fr", "1", 0), ("es", "6", 1), ("fr", "8", 1)]
    assert [(one.language, one.item, one.position) for one in items] == chosen
    assert [(one.language, one.item, one.position) for one in items] == chosen
    assert items.counted == {("fr", "regular", False): 2, ("es", "regular", False): 2}


def test_parquet_is_read(tmp_path: Path) -> None:
    duckdb.sql(f"copy (select 1 as id, 'Hi' as instruction) to '{tmp_path}/items.parquet'")
    store = FolderStore(tmp_path / "artifacts")
    files = {"items.parquet": store.put(tmp_path / "items.parquet", "file")}
    rows = Sources(store, tmp_path, download=False).rows(DataSource(path="items.parquet"), files)
    assert list(rows) == [("items.parquet row 1", {"id": 1, "instruction": "Hi"})]


def test_urial_prompts_have_the_published_layout() -> None:
    assert builtin_languages() == ["en", "es", "fr"]
    for language in builtin_languages():
        text = builtin(language)
        assert text.startswith("# Instruction\n\n")
        assert text.count("\n# Query:\n```\n") == text.count("\n```\n\n# Answer:\n```\n") == 3
        assert text.endswith("\n```\n")
    prompting = Prompting(spec(), lambda path: pytest.fail(path))
    prompt = prompting.prefix("urial", "fr") + prompting.text("urial", "Bonjour ?")
    assert prompt.endswith("\n```\n\n# Query:\n```\nBonjour ?\n```\n\n# Answer:\n```\n")
    assert prompting.text("zero-shot", "Bonjour ?") == "Bonjour ?\n"
    assert set(prompting.digests()) == {"urial/en", "urial/fr"}


def test_demonstrations_may_stay_english_and_come_from_a_file() -> None:
    prompts = {"urial": {"demonstrations": "en", "files": {"en": {"path": "mine.txt"}}}}
    prompting = Prompting(spec(prompts=prompts), {"mine.txt": "MINE\n```\n"}.__getitem__)
    assert prompting.prefix("urial", "fr") == "MINE\n```\n\n"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Bonjour.\n```\n\n", "Bonjour."),
        ("Bonjour.", "Bonjour."),
        ("Use this:\n```\nx = 1\n```\n", "Use this:\n```\nx = 1\n```"),
        ("Use this:\n```\nx = 1\n```\n```\n\n", "Use this:\n```\nx = 1\n```"),
    ],
)
def test_cleaning_takes_the_closing_fence_of_the_layout_only(text: str, cleaned: str) -> None:
    prompting = Prompting(spec(), lambda path: pytest.fail(path))
    assert prompting.clean("urial", text) == cleaned
    assert prompting.clean("zero-shot", text) == text.strip()


def test_chunks_depend_on_the_experiment_alone() -> None:
    cut = chunks([("a", ["1", "2", "3"]), ("b", ["4"])], 2)
    assert [(one.number, one.unit, one.items) for one in cut] == [
        (0, "a", ("1", "2")),
        (1, "a", ("3",)),
        (2, "b", ("4",)),
    ]


class Flaky:
    """A service that raises the given problems first, and refuses item `bad` always."""

    def __init__(self, *problems: ProblemError) -> None:
        self.problems, self.calls = list(problems), list[list[str]]()

    async def __call__(self, items: Sequence[str]) -> list[Outcome]:
        self.calls.append(list(items))
        if self.problems:
            raise self.problems.pop(0)
        if "bad" in items:
            raise ProblemError(422, "invalid-request", "bad item")
        return [Outcome(item, {"done": True}) for item in items]


def done(service: Flaky, items: list[str]) -> tuple[dict[str, str | None], list[str | None]]:
    told: list[str | None] = []

    async def tell(message: str | None) -> None:
        told.append(message)

    outcomes = asyncio.run(waiting.process(service, items, waiting.Tell(tell)))
    return {one.item: one.cause for one in outcomes}, told


def test_a_refused_batch_is_halved_until_the_bad_item_stands_alone() -> None:
    causes, _ = done(Flaky(), ["1", "2", "bad", "3"])
    assert causes == {"1": None, "2": None, "bad": "invalid-request: bad item", "3": None}


def test_a_refusal_of_the_whole_batch_is_not_halved() -> None:
    service = Flaky(ProblemError(422, "unknown-model", "no such model"))
    assert done(service, ["1", "2"])[0] == dict.fromkeys(("1", "2"), "unknown-model: no such model")
    assert len(service.calls) == 1


def test_a_service_that_is_down_is_waited_for_with_a_message() -> None:
    away = [Unreachable("http://x", "refused") for _ in range(6)]
    for problem in away:
        problem.retry_after = 0.01
    causes, told = done(Flaky(*away), ["1"])
    assert causes == {"1": None}
    assert told[0] is not None and "http://x does not answer" in told[0] and told[-1] is None


def test_a_request_that_the_service_took_and_failed_is_given_up_with_its_cause() -> None:
    failing = [ProblemError(500, "internal", "it broke", retry_after=0.01) for _ in range(9)]
    service = Flaky(*failing)
    causes, _ = done(service, ["1", "2"])
    assert causes == {"1": "internal: it broke", "2": "internal: it broke"}
    assert len(service.calls) == 4


def test_an_answer_that_lacks_an_item_is_told() -> None:
    async def forgetful(items: Sequence[str]) -> list[Outcome]:
        return [Outcome(items[0], {})]

    async def tell(_: str | None) -> None: ...

    outcomes = asyncio.run(waiting.process(forgetful, ["1", "2"], waiting.Tell(tell)))
    assert [(one.item, one.cause) for one in outcomes] == [("1", None), ("2", "the service's answer lacks this item")]


def test_results_are_kept_once(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    attempt = store.attempt("a")
    attempt.save(PhaseName.GENERATE, [("arm/en", [Outcome("1", {"text": "first"})])])
    attempt.save(PhaseName.GENERATE, [("arm/en", [Outcome("1", {"text": "second"}), Outcome("2", None, "why")])])
    kept = store.outcomes("a", "generate", "arm/en", ["1", "2", "3"])
    assert kept == {"1": Outcome("1", {"text": "first"}), "2": Outcome("2", None, "why")}


def new_store(tmp_path: Path) -> Store:
    engine = database.connect(f"sqlite:///{tmp_path}/test.sqlite")
    database.migrate(engine)
    database.migrate(engine)
    store = Store(engine)
    store.create("a", spec(), "text", "a.yaml", {}, "0" * 64)
    return store


def test_a_request_that_our_own_models_refuse_is_recorded_for_its_item() -> None:
    class Strict(BaseModel):
        item: Annotated[str, Field(max_length=3)]

    async def strict(items: Sequence[str]) -> list[Outcome]:
        return [Outcome(Strict(item=item).item, {}) for item in items]

    async def tell(_: str | None) -> None: ...

    outcomes = asyncio.run(waiting.process(strict, ["1", "too long", "2"], waiting.Tell(tell)))
    assert [one.item for one in outcomes if one.cause is None] == ["1", "2"]
    assert [one.item for one in outcomes if one.cause and "invalid-request" in one.cause] == ["too long"]


def test_a_turn_whose_rows_are_there_asks_nobody(tmp_path: Path) -> None:
    """As after a kill between the rows and the engine's record of the step."""
    store = new_store(tmp_path)
    attempt = store.attempt("a")
    attempt.plan(PhaseName.DETECT, chunks([("zero-shot/en", ["1"])], 8))
    attempt.save(PhaseName.DETECT, [("zero-shot/en", [Outcome("1", {"detections": []})])])
    settings = Settings(analyzer_url="http://127.0.0.1:9")  # nobody would answer

    async def tell(_: str | None) -> None: ...

    run = Run("a", store, settings)
    flow = Flow(settings.limits_of("analyzer"))
    turn = Turn(run, STAGES[PhaseName.DETECT], "analyzer", waiting.Tell(tell), flow)
    assert asyncio.run(turn.work())
    assert store.phases("a")["detect"].done == 1


def test_the_seed_of_an_experiment_is_that_of_what_sets_none() -> None:
    training = {"method": "sft", "model": "tiny", "data": {"path": "x"}, "hyperparameters": {"learning_rate": 0.1}}
    own = training | {"hyperparameters": {"learning_rate": 0.1, "seed": 3}}
    found = spec(seed=7, trainings={"a": training, "b": own})
    assert (found.decoding.seed, found.analysis.seed) == (7, 7)
    assert [found.trainings[name].hyperparameters.seed for name in ("a", "b")] == [7, 3]
    assert spec().decoding.seed == 0


def test_an_instruction_in_chat_messages_is_read_as_its_text(tmp_path: Path) -> None:
    found, files = sources(tmp_path, [{"id": 1, "instruction": [{"role": "user", "content": "Hi"}]}])
    assert {one.source for one in Items(spec(), files, found)} == {"Hi"}  # type: ignore[arg-type]
