"""Judges that break their contract, each examples/minimal-judge as a process with one thing in its source replaced."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import yaml
from plumbline_contracts.common import Info
from plumbline_contracts.coordinator import PhaseName, SpecCheck, Submission
from plumbline_contracts.experiment import ExperimentSpec
from plumbline_contracts.judge import JudgmentItem, JudgmentRequest
from plumbline_coordinator import check, database, judges
from plumbline_coordinator.attempt import Attempt
from plumbline_coordinator.rows import Item, Outcome
from plumbline_coordinator.run import Run
from plumbline_coordinator.settings import Settings
from plumbline_coordinator.stages.judge import JudgeStage
from plumbline_coordinator.store import Store
from plumbline_kit.artifacts import open_store
from plumbline_kit.client import ServiceClient
from plumbline_kit.errors import ProblemError

from tests.stack import servers

Answer = TypeVar("Answer")
Start = Callable[..., str]
MINIMAL_JUDGE = Path(__file__).parents[3] / "examples" / "minimal-judge" / "judge.py"
ASPECTS = ["ending", "length"]
SCORES = '"scores": scores(item, item.response)'
SPEC = """\
name: test
languages: [en]
dataset: {path: items.jsonl}
models: {tiny: {base: tiny-base}}
arms: [{name: zero-shot, model: tiny}]
decoding: {max_new_tokens: 8}
judges:
  - {name: judge, rubrics: {regular: form}}
"""


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start the minimal judge with these replacements in its source; returns its URL."""
    with servers() as serve:

        def start_one(*replaced: tuple[str, str]) -> str:
            source = MINIMAL_JUDGE.read_text("utf-8")
            for stands, instead in replaced:
                assert stands in source
                source = source.replace(stands, instead)
            file = tmp_path_factory.mktemp("judge") / "judge.py"
            file.write_text(source, encoding="utf-8")
            return serve(str(file), PORT="{port}")

        yield start_one


def asked(url: str, ask: Callable[[ServiceClient], Awaitable[Answer]]) -> Answer:
    async def run() -> Answer:
        async with ServiceClient(url, attempts=1) as client:
            return await ask(client)

    return asyncio.run(run())


def settings_with(tmp_path: Path, url: str) -> Settings:
    database_url, nobody = f"sqlite:///{tmp_path}/test.sqlite", "http://127.0.0.1:9"
    places = {"PLUMBLINE_ARTIFACTS_DIR": tmp_path / "artifacts", "database_url": database_url, "judge_url": url}
    return Settings(**places, generator_url=nobody, translator_url=nobody)


def checked(tmp_path: Path, url: str, spec: str = SPEC) -> SpecCheck:
    settings = settings_with(tmp_path, url)
    uploaded = open_store(settings).put_bytes(b'{"id": 1, "instruction": "Name one."}\n', "file")
    submission = Submission(spec=spec, source="test.yaml", files={"items.jsonl": uploaded})
    store = Store(database.connect(settings.database_url))
    return asyncio.run(check.check(submission, store, settings, to_run=True)).check


@pytest.mark.parametrize(
    ("replaced", "told"),
    [
        (('"judge/1.1.0"', '"translator/1.0.0"'), "answers the contract 'translator/1.0.0'; judge:judge must answer"),
        (('"judge/1.1.0"', '"judge/2.0.0"'), "answers the contract 'judge/2.0.0'; judge:judge must answer judge/1.x"),
        (('"implementation": "minimal",', ""), "/info answered against its contract: implementation: Field required"),
        (('"aspects": aspects}]}', '"aspects": {}}]}'), "contract: rubrics.0.aspects: Input should be a valid array"),
        (('"aspects": aspects}]}', '"aspects": []}]}'), "the rubric 'form' must have aspects, and every one once."),
        (('"aspects": aspects}]', '"aspects": aspects * 2}]'), "the rubric 'form' must have aspects, and every one"),
        (('"aspects": aspects}]}', '"aspects": aspects}] * 2}'), "it must list at least one rubric, and every one"),
        (('@app.get("/v1/rubrics")', '@app.get("/rubrics")'), "Not Found"),
        (("return INFO", 'return JSONResponse("no judge")'), "/info answered against its contract"),
    ],
)
def test_what_answers_but_not_as_a_judge_is_a_fault_of_the_experiment(
    start: Start, tmp_path: Path, replaced: tuple[str, str], told: str
) -> None:
    url = start(replaced)
    with pytest.raises(ProblemError) as caught:
        checked(tmp_path, url)
    assert caught.value.kind == "invalid-spec"
    assert [fault.place for fault in caught.value.errors] == ["test.yaml:8 judges[0]"]
    message = caught.value.errors[0].message
    assert told in message and f"`plumbline conform judge --url {url}`" in message


def test_a_rubric_that_the_judge_does_not_have_is_a_fault(start: Start, tmp_path: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        checked(tmp_path, start(('RUBRIC, RUBRIC_VERSION = "form"', 'RUBRIC, RUBRIC_VERSION = "shape"')))
    fault = caught.value.errors[0]
    assert fault.place == "test.yaml:8 judges[0].rubrics.regular"
    assert fault.message == "there is no rubric 'form'; there are: shape"


def test_a_rubric_without_words_in_a_language_of_the_responses_is_a_fault_where_it_is_to_speak_it(
    start: Start, tmp_path: Path
) -> None:
    url = start(('"languages": ["en"]', '"languages": ["fr", "es"]'))
    spec = SPEC.replace("{regular: form}", "{regular: form}, rubric_language: response")
    with pytest.raises(ProblemError) as caught:
        checked(tmp_path, url, spec)
    (fault,) = (one for one in caught.value.errors if "judges" in one.place)
    assert fault.place == "test.yaml:8 judges[0].rubric_language"
    assert fault.message == "the rubric 'form' has no text in en; it has fr, es"


@pytest.mark.parametrize("answer", [503, 429, 500])
def test_a_judge_that_cannot_tell_now_is_a_warning(start: Start, tmp_path: Path, answer: int) -> None:
    url = start(("return INFO", f'raise HTTPException({answer}, "the model is loading")'))
    told = [warning for warning in checked(tmp_path, url).warnings if warning.startswith("judge judge: could not be")]
    assert len(told) == 1 and "the model is loading" in told[0]


def test_a_judge_that_nobody_answers_for_is_a_warning(tmp_path: Path) -> None:
    assert any("http://127.0.0.1:9 does not answer" in one for one in checked(tmp_path, "http://127.0.0.1:9").warnings)


# Every item is spoiled in the way that its id names.
SPOILING = (
    "judgments = [",
    """judgments = list(spoiled(request.items))
    also = [""",
)
SPOILED = (
    "def named(",
    """def spoiled(items):
    for item in items:
        scored = scores(item, item.response)
        if item.id == "above 5":
            scored[0]["score"] = 5.5
        if item.id == "no number":
            scored[0]["score"] = "high"
        if item.id == "neither":
            scored[0]["score"] = None
        if item.id == "both":
            scored[1]["unscored"] = {"cause": "not_applicable", "detail": "guessed"}
        if item.id == "unscored":
            scored = [entry(aspect, "not_applicable", "no\\0 idea") for aspect in ASPECTS]
        if item.id == "another aspect":
            scored[0]["aspect"] = "charm"
        if item.id == "an aspect less":
            scored.pop()
        if item.id == "an aspect twice":
            scored.append(scored[0])
        judgment = {"id": item.id, "scores": scored, **OF_A_MODEL}
        yield from [judgment] * {"lost": 0, "twice": 2}.get(item.id, 1)
    yield from [None, 7, {}, {"id": []}, judgment | {"id": "never asked for"}]


def named(""",
)
CAUSES = {
    "first": None,
    "above 5": "scores.0.score: Input should be less than or equal to 5",
    "no number": "scores.0.score: Input should be a valid number, unable to parse string as a number",
    "neither": "an aspect has not exactly one of score and unscored",
    "both": "an aspect has not exactly one of score and unscored",
    "another aspect": "the aspects judged are not ending, length",
    "an aspect less": "the aspects judged are not ending, length",
    "an aspect twice": "the aspects judged are not ending, length",
    "lost": "the answer has no judgments of this item",
    "twice": "the answer has 2 judgments of this item",
    "last": None,
}


def judged(url: str, ids: Iterable[str]) -> list[Outcome]:
    items = [JudgmentItem(id=id, instruction="Hi", response="Hello.", language="en") for id in ids]
    request = JudgmentRequest(rubric="form", items=items)
    return asked(url, lambda client: judges.ask(client, request, ASPECTS))


def test_an_item_that_cannot_be_scored_has_its_cause(start: Start) -> None:
    outcome = judged(start(SPOILING, SPOILED), ["unscored"])[0]
    assert outcome.cause == "not_applicable: no\0 idea"  # the tables take the NUL away
    assert outcome.body is not None and outcome.body["rubric_version"] == "1"


def test_a_judgment_against_the_contract_is_told_and_costs_no_other_item(start: Start) -> None:
    found = judged(start(SPOILING, SPOILED), CAUSES)
    assert {one.item: one.cause for one in found} == {
        id: cause and f"contract-broken: {cause}" for id, cause in CAUSES.items()
    }
    for one in found:
        assert (one.body is None) == (one.cause is not None)
        assert one.body is None or [score["score"] for score in one.body["scores"]] == [5.0, 5.0]


def test_the_order_of_an_answer_changes_nothing(start: Start) -> None:
    url = start(("for item in request.items]\n    return", "for item in request.items][::-1]\n    return"))
    assert [(one.item, one.cause) for one in judged(url, ["1", "2", "3"])] == [("1", None), ("2", None), ("3", None)]


@pytest.mark.parametrize(
    ("replaced", "told"),
    [
        (('return {"rubric": RUBRIC,', 'return {"rubric": "other",'), "asked on 'form', it judged on 'other'"),
        (('return {"judgments": judgments}', 'return {"judgements": judgments}'), "judgments: Field required"),
        ((SCORES, '"scores": []'), "on 'form': contract-broken: the aspects judged are not ending, length"),
    ],
)
def test_a_test_item_tells_a_judge_whose_answers_are_no_judgments(
    start: Start, replaced: tuple[str, str], told: str
) -> None:
    with pytest.raises(ProblemError, match="/v1/judgments answered against its contract") as caught:
        asked(start(replaced), lambda client: judges.probe(client, "form", ASPECTS))
    assert caught.value.kind == "contract-broken" and told in caught.value.detail


@pytest.mark.parametrize(
    ("cause", "status"), [("backend_unavailable", 503), ("backend_refused", 422), ("not_applicable", None)]
)
def test_a_test_item_tells_a_judge_whose_model_is_away_or_refuses(start: Start, cause: str, status: int | None) -> None:
    url = start(
        ("    if not (text :=", f'    return dict.fromkeys(ASPECTS, ("{cause}", "no such key"))\n    if not (text :=')
    )
    try:
        asked(url, lambda client: judges.probe(client, "form", ASPECTS))
    except ProblemError as error:
        assert error.status == status and "no such key" in error.detail
    else:
        assert status is None, "an item that cannot be scored is an answer"


def test_a_judge_that_was_replaced_is_told_from_one_that_was_upgraded(start: Start) -> None:
    url = start()
    info = asked(url, lambda client: client.call("GET", "/info", Info))
    asked(url, lambda client: judges.still(client, info.model_copy(update={"version": "0", "description": "older"})))
    for change in ({"implementation": "openai"}, {"model": "m"}, {"model": "m", "revision": "r"}):
        before = info.model_copy(update=change)
        with pytest.raises(ProblemError, match=r"is minimal \(no model\), and this experiment is judged by") as caught:
            asked(url, lambda client, before=before: judges.still(client, before))  # type: ignore[misc]
        assert (caught.value.status, caught.value.kind) == (503, "another-judge")


BACKEND, NO_INFO = 'raise HTTPException({}, "default backend")', 'return {"status": "ok"}'
ANOTHER = r"not as the judge \(.*{}.* is judged by minimal \(no model\)"
TOLD = [(BACKEND.format(404), 503, ANOTHER.format("default backend")), (NO_INFO, 503, ANOTHER.format("its contract"))]
TOLD += [(BACKEND.format(401), 401, "default backend")]  # no other judge, but a wrong token: the experiment pauses


@pytest.mark.parametrize(("instead", "status", "told"), TOLD)
def test_what_answers_in_mid_run_but_not_as_a_judge(start: Start, instead: str, status: int, told: str) -> None:
    recorded = Info.model_construct(implementation="minimal", model=None, revision=None)
    with pytest.raises(ProblemError, match=told) as caught:
        asked(start(("return INFO", instead)), lambda client: judges.still(client, recorded))
    assert (caught.value.status, caught.value.kind == "another-judge") == (status, status == 503)


@pytest.mark.parametrize("judging", ["", 'raise HTTPException(422, "no such rubric")'])
def test_one_replaced_while_it_judged_has_judged_nothing(start: Start, tmp_path: Path, judging: str) -> None:
    """The one that answers after the first request for judgments is another one."""
    url = start(("    judgments = [", f'    INFO["implementation"] = "stranger"\n    {judging}\n    judgments = ['))
    settings = settings_with(tmp_path, url)
    database.migrate(engine := database.connect(settings.database_url))
    store, attempt = Store(engine), Attempt(engine, "a", 1)
    store.create("a", ExperimentSpec.model_validate(yaml.safe_load(SPEC)), SPEC, "a.yaml", {}, "0" * 64)
    attempt.add_items([Item("en", "1", 0, "regular", [], "Name one.", False, None)])
    attempt.save(PhaseName.GENERATE, [("zero-shot/en", [Outcome("1", {"response": "One."})])])
    services = {"judge:judge": asked(url, lambda client: client.call("GET", "/info", Info)).model_dump(mode="json")}
    attempt.keep(manifest={"services": services, "rubrics": {"judge": {"form": ASPECTS}}})
    run, stage, unit = Run("a", store, settings), JudgeStage(), "judge/regular/zero-shot/en"
    items = list(stage.load(run, unit, ["1"]).inputs.values())
    with pytest.raises(ProblemError) as caught:
        asked(url, lambda client: stage.asking(run, client)(unit, items))
    assert caught.value.kind == "another-judge" and "is stranger" in caught.value.detail
