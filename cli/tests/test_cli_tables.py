"""The result tables fit the terminal."""

import io
from datetime import UTC, datetime

import pytest
from plumbline.progress import PhaseBars
from plumbline.tables import results
from plumbline.terminal import Terminal
from plumbline_contracts.analyzer import AnalysisResponse, AspectMean, EarlyStop
from plumbline_contracts.common import Artifact
from plumbline_contracts.coordinator import Experiment, Phase, Spent
from plumbline_contracts.experiment import Limits
from plumbline_contracts.results import completed
from rich.console import Console

_ASPECTS = ["helpfulness", "clarity", "factuality", "depth", "engagement", "safety"]


def analysis(mean=3.2149, missing=None):
    means = [
        AspectMean(
            judge="judge",
            arm=arm,
            language=language,
            aspect=aspect,
            n=800,
            mean=mean,
            low=None,
            high=None,
            leads=None,
            missing=missing or {},
            worst=None,
            best=None,
        )
        for arm in ("zero-shot", "URIAL + DPO [red]")
        for language in ("en", "fr", "es")
        for aspect in _ASPECTS
    ]
    report = Artifact(uri="artifact:report", sha256="0" * 64, bytes=1)
    stored = {"means": means, "error_rates": [], "differences": [], "findings": [], "report": report}
    return AnalysisResponse.model_validate(completed({**stored, "means": [mean.model_dump() for mean in means]}))


def printed(width, analysis):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(results(analysis, {}, console))
    return console.export_text()


def test_bars_show_counts_failures_and_what_a_phase_waits_for():
    terminal = Terminal()
    terminal.console = Console(width=120, force_terminal=True, file=io.StringIO())
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    common = {"started": moment, "finished": None, "message": None, "flow": [], "reused": 0}
    phases = [
        Phase(name="train", state="done", done=0, total=0, failed=0, **common),
        Phase(name="judge", state="running", done=12, total=40, failed=3, **common | {"message": "waits for \x1b[2J"}),
    ]
    experiment = Experiment(
        id="x", name="x", state="running", cause=None, attempt=1, limits=Limits(), phases=phases,
        spent=Spent(calls=0, tokens=0, hours=0), usage=[], spec_sha256="0" * 64, created=moment,
        started=moment, finished=None,
    )  # fmt: skip
    with PhaseBars(terminal) as bars:
        bars.show(experiment)
        bars.show(experiment)
    text = terminal.console.file.getvalue()
    for expected in ("nothing to do", "12/40", "3 failed", "waits for [2J"):
        assert expected in text
    assert "\x1b[2J" not in text


@pytest.mark.parametrize(("width", "tables"), [(300, 1), (100, 3)])
def test_languages_are_groups_of_columns_or_tables(width, tables):
    text = printed(width, analysis())
    lines = text.splitlines()
    assert sum("helpfulness" in line for line in lines) == tables
    assert text.count("3.21") == 2 * 3 * len(_ASPECTS)
    assert max(map(len, lines)) <= width
    assert sum(line.split()[:3] == ["URIAL", "+", "DPO"] for line in lines) == tables
    assert "[red]" in text


def test_what_is_missing_is_marked_and_explained():
    text = printed(300, analysis(mean=None, missing={"unscored: no number": 2}))
    assert "-*" in text
    assert "72 without a score (*): unscored: no number" in text
    assert "n = 800" in text


def test_loops_that_were_ended_are_a_table():
    counts = {"n": 80, "ended": 20, "audited": 4, "audited_loops": 1, "ran_on": 1, "compared": 1, "changed": 0}
    one = EarlyStop(arm="URIAL", language="fr", tokens=7000, tokens_saved=3000, saved=0.3, **counts)
    none = EarlyStop(arm="SFT", language="fr", tokens=0, tokens_saved=0, saved=None, **dict.fromkeys(counts, 0))
    lines = printed(120, analysis().model_copy(update={"early_stops": [one, none]})).splitlines()
    assert any(line.split() == ["URIAL", "25.0", "30.0"] for line in lines)
    assert any(line.split() == ["SFT", "-", "-"] for line in lines)
