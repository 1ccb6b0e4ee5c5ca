import re
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plumbline_analyzer.statistical import StatisticalAnalyzer
from plumbline_contracts.analyzer import (
    AnalysisRequest,
    AnalysisSettings,
    ArmLabel,
    DetectableEffectRequest,
    DetectionItem,
    DetectionRequest,
    Detector,
)
from plumbline_kit.errors import ProblemError
from plumbline_kit.folder_store import FolderStore

HOSTILE = """</div></details><script>alert(1)</script><img src=x onerror="alert(2)"> {{ 7 * 7 }} {% raw %} &lt;b&gt;"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "artifacts")


@pytest.fixture
def analyzer(identifier, store) -> StatisticalAnalyzer:
    return StatisticalAnalyzer(identifier, store, workers=2)


def lines(observations) -> bytes:
    return "".join(observation.model_dump_json() + "\n" for observation in observations).encode()


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        self.closed.append(tag)


@pytest.mark.anyio
async def test_detect_keeps_ids_and_order(analyzer) -> None:
    items = [DetectionItem(id=id, instruction="Hi", response="Hello.", language="en") for id in ("b", "a", "b")]
    response = await analyzer.detect(DetectionRequest(items=items))
    assert [item.id for item in response.items] == ["b", "a", "b"]
    assert response.detectors_version


@pytest.mark.anyio
async def test_analysis_is_pure_and_ignores_the_order_of_lines(analyzer, store, observe, request_of) -> None:
    observations = [
        observe(i, arm=arm, scores={"depth": 1 + (i * 7 + len(arm)) % 5}) for arm in ("base", "dpo") for i in range(40)
    ]
    inline = await analyzer.analyze(request_of(observations))
    again = await analyzer.analyze(request_of(observations))
    shuffled = await analyzer.analyze(request_of(data=store.put_bytes(lines(observations[::-1]), "data")))
    assert inline == again
    in_order = await analyzer.analyze(request_of(data=store.put_bytes(lines(observations), "data")))
    files = {"report", "folder"}  # they name the data's digest
    assert inline.model_dump(exclude=files) == in_order.model_dump(exclude=files) == shuffled.model_dump(exclude=files)
    assert store.path(inline.report).read_bytes()


@pytest.mark.anyio
async def test_the_report_is_one_page_that_runs_and_loads_nothing(analyzer, store, observe, request_of) -> None:
    observations = [
        observe(i, response=HOSTILE, instruction=HOSTILE, scores={"depth": 3}, found=[Detector.WRONG_LANGUAGE])
        for i in range(3)
    ]
    observations.append(observe(9, response=None, missing="<i>cause</i>", instruction=HOSTILE))
    request = request_of(observations, arms=["base"], notes=[HOSTILE], title=HOSTILE)
    page = store.path((await analyzer.analyze(request)).report).read_text()
    tags = Tags(page)
    assert not {"script", "img", "link", "iframe", "object", "form"} & set(tags.opened)
    assert not [name for name, _ in tags.attributes if name.startswith("on")]
    assert all(
        value.startswith("#") for name, value in tags.attributes if name in ("href", "xlink:href", "src") and value
    )
    assert "url(http" not in page
    assert "@import" not in page
    assert "{{ 7 * 7 }}" in page
    assert "49" not in re.findall(r"\{\{.*?\}\}|\b49\b", page)
    for tag in ("div", "details", "section", "table", "mark", "svg", "ul"):
        assert tags.opened.count(tag) == tags.closed.count(tag), tag


@pytest.mark.anyio
async def test_names_that_drawing_could_misread(analyzer, observe, request_of, store) -> None:
    names = ["$x$ & <b>", "a" * 200, "two\nlines", "#010203 'DejaVu Sans'", "名前"]
    arms = [ArmLabel(name=name, model="m", weights="base", prompting="zero-shot") for name in names]
    observations = [
        observe(i, arm=name, scores={"<aspect>": 1 + i % 5, "$\\frac$": 2}) for name in names for i in range(5)
    ]
    request = request_of(observations).model_copy(update={"arms": arms})
    page = store.path((await analyzer.analyze(request)).report).read_text()
    assert "$x$ &amp; &lt;b&gt;" in page
    assert "<b>" not in page
    assert "<aspect>" not in page


@pytest.mark.anyio
async def test_what_was_detected_is_marked(analyzer, store, observe, request_of) -> None:
    observations = [observe(1, response="loop & loop", found=[Detector.INFINITE_LOOP])]
    page = store.path((await analyzer.analyze(request_of(observations, arms=["base"]))).report).read_text()
    assert '<mark title="infinite loop">loop </mark>&amp; loop</div>' in page
    assert page.count("model-free rules") >= 3


@pytest.mark.anyio
async def test_an_experiment_without_judges_or_detections(analyzer, observe, request_of) -> None:
    observations = [observe(1, detected=False)]
    response = await analyzer.analyze(request_of(observations, arms=["base"], judges=[]))
    assert response.means == []
    assert response.findings == [
        "No response was scored, so there is no mean to compare.",
    ]


@pytest.mark.anyio
async def test_wrong_observations_are_refused_all_at_once(analyzer, observe, request_of) -> None:
    observations = [observe(1), observe(1), observe(2, arm="x"), observe(3, language="de")]
    observations.append(observe(4, scores={"depth": 1}, judge="someone"))
    with pytest.raises(ProblemError) as caught:
        await analyzer.analyze(request_of(observations))
    assert (caught.value.status, caught.value.kind) == (422, "invalid-observations")
    assert [error.place for error in caught.value.errors] == [f"body.observations.{i}" for i in (1, 2, 3, 4)]
    messages = " ".join(error.message for error in caught.value.errors)
    assert "item '1' of arm 'base' in en is given twice, first at body.observations.0" in messages
    assert "arm 'x'" in messages
    assert "language 'de'" in messages
    assert "judge 'someone'" in messages


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("second", "where"),
    [
        (b"not json", "line 2"),
        (b"\xff\xfe", "line 2"),
        (b"", "line 2"),
        (b'{"item": "2", "arm": "base"}', "line 2.language"),
        (b"[]", "line 2"),
    ],
)
async def test_a_bad_line_is_named(analyzer, store, observe, request_of, second, where) -> None:
    good = lines([observe(1)])
    data = store.put_bytes(good + second + b"\n" + lines([observe(3)]), "data")
    with pytest.raises(ProblemError) as caught:
        await analyzer.analyze(request_of(data=data))
    assert caught.value.status == 422
    assert caught.value.errors[0].place == where


def parquet(rows, path: Path) -> bytes:
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=7)
    return path.read_bytes()


@pytest.mark.anyio
async def test_parquet_gives_what_lines_give(analyzer, store, observe, request_of, tmp_path) -> None:
    observations = [
        observe(i, arm=arm, scores={"depth": 1 + (i * 7 + len(arm)) % 5}, found=[Detector.INFINITE_LOOP][: i % 2])
        for arm in ("base", "dpo")
        for i in range(20)
    ]
    observations[3] = observe(3, response=None, missing="timeout")
    rows = [one.model_dump(mode="json") for one in observations]
    given = {
        "lines": store.put_bytes(lines(observations), "lines"),
        "parquet": store.put_bytes(parquet(rows, tmp_path / "x"), "parquet"),
    }
    settings = AnalysisSettings(resamples=100)
    found = [await analyzer.analyze(request_of(data=data, settings=settings)) for data in given.values()]
    first, second = (one.model_dump(exclude={"report", "folder"}) for one in found)
    assert first == second
    pages = [store.path(one.report).read_text() for one in found]
    assert pages[0].count("<mark") == pages[1].count("<mark") > 0
    rows[1]["language"] = "English"
    spoiled = store.put_bytes(parquet(rows, tmp_path / "x"), "spoiled")
    with pytest.raises(ProblemError, match=r"wrong at row 2\.language"):
        await analyzer.analyze(request_of(data=spoiled))
    with pytest.raises(ProblemError, match="no readable Parquet file"):
        await analyzer.analyze(request_of(data=store.put_bytes(b"PAR1 but not more", "short")))


@pytest.mark.anyio
async def test_data_that_is_no_file_of_lines(analyzer, store, request_of, tmp_path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_text("b")
    for data in (store.put_bytes(b"", "empty"), store.put(folder, "folder")):
        with pytest.raises(ProblemError) as caught:
            await analyzer.analyze(request_of(data=data))
        assert caught.value.status == 422
    data = store.put_bytes(b"x", "spoiled")
    store.find(data.uri).write_bytes(b"y")
    with pytest.raises(ProblemError, match="sha256"):
        await analyzer.analyze(request_of(data=data))


@pytest.mark.anyio
async def test_readiness_is_a_writable_store(analyzer, identifier, tmp_path) -> None:
    await analyzer.check()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ProblemError) as caught:
        await StatisticalAnalyzer(identifier, FolderStore(tmp_path / "file" / "store"), 1).check()
    assert caught.value.status == 503


@pytest.mark.anyio
async def test_duplicate_names_are_refused(analyzer, observe, request_of) -> None:
    request = request_of([observe(1)], arms=["a", "a"], judges=["j", "j"], languages=["en", "en"])
    with pytest.raises(ProblemError) as caught:
        await analyzer.analyze(request)
    assert caught.value.status == 422
    assert [error.place for error in caught.value.errors] == [
        "body.arms.1.name",
        "body.judges.1.name",
        "body.languages.1",
    ]


@pytest.mark.anyio
async def test_what_a_plan_could_find(analyzer) -> None:
    plan = DetectableEffectRequest(items=200, comparisons=24, standard_deviation=1.2)
    found = await analyzer.detectable_effect(plan)
    assert 0.23 < found.score < found.score_corrected < 0.4
    assert 0.05 < found.error_rate < found.error_rate_corrected <= 0.1
    assert "24 comparison(s)" in found.assumptions[2]
    nothing = await analyzer.detectable_effect(DetectableEffectRequest(items=2, discordant=0.01))
    assert (nothing.score, nothing.error_rate) == (None, None)


def test_identity(analyzer) -> None:
    info = analyzer.info()
    assert (info.contract, info.implementation, info.model) == ("analyzer/1.4.0", "statistics", None)


def test_the_fixture_makes_valid_requests(request_of, observe) -> None:
    assert AnalysisRequest.model_validate_json(request_of([observe(1)]).model_dump_json())
