"""`plumbline analyze`: statistics and a report from files of results, without any service running."""

import shutil
from pathlib import Path
from typing import Annotated, Literal

import typer
from plumbline_contracts.analyzer import AnalysisRequest, AnalysisResponse, AnalysisSettings
from plumbline_kit.errors import ProblemError

from .. import tables
from ..analysis import reading
from ..analysis.given import Collected
from ..analysis.own_analyzer import OwnAnalyzer, own_analyzer
from ..files import whole
from ..options import Json
from ..terminal import Terminal, reporting


def analyze(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="FILE, ARM=FILE, ARM@LANGUAGE=FILE, or a folder.")
    ],
    folder: Annotated[
        Path, typer.Option("--folder", "-o", metavar="FOLDER", help="A new folder for page, tables and figures.")
    ] = Path("analysis"),
    language: Annotated[str, typer.Option(help="Language of the files that do not say theirs.")] = "en",
    title: Annotated[str | None, typer.Option(help="The report's title.", show_default="the files' names")] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="ARM", help="The arm to compare with.", show_default="the first")
    ] = None,
    detect: Annotated[
        bool, typer.Option("--detect/--no-detect", help="Look for critical errors where none are given.")
    ] = True,
    compat: Annotated[
        str | None, typer.Option(help="just-eval-2024: an aspect that is N/A counts 5, labelled.")
    ] = None,
    resamples: Annotated[int, typer.Option(min=100, max=100_000, help="Bootstrap resamples over items.")] = 2000,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    json: Json = False,
) -> None:
    """Analyze results that other tools made, or an exported experiment: tables here, a report in a folder.

    Takes just-eval result files, lm-evaluation-harness samples (--log_samples),
    CSV (columns item, response, score:ASPECT or score:JUDGE:ASPECT, arm,
    language, category), Observations as JSON lines, and the folder of
    `plumbline export --format folder`. Needs no service: it starts an analyzer
    of its own, and ends it.

    \b
    plumbline analyze gpt.score_multi.json zephyr.score_multi.json
    plumbline analyze base@es=samples_a.jsonl urial@es=samples_b.jsonl --baseline base
    plumbline analyze scores.csv --folder paper
    """
    with reporting(json) as terminal:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ProblemError(422, "folder-exists", f"{folder} exists and is not empty; name a new one by --folder.")
        given = [reading.source(file, language) for file in files]
        settings = AnalysisSettings(resamples=resamples, seed=seed, compat=_compat(compat))
        exported = reading.exported(given[0].path) if len(given) == 1 and given[0].path.is_dir() else None
        with whole(folder.resolve()) as partial, own_analyzer() as analyzer:
            if exported is not None:
                results = analyzer.analyze(exported, given[0].path / reading.OBSERVATIONS)
            else:
                collected = reading.collect(given)
                request = _request(collected, title or ", ".join(one.name for one in given), baseline, settings)
                results = _analyze(analyzer, request, collected, detect, partial.parent)
            assert results.folder is not None
            shutil.copytree(analyzer.store.path(results.folder), partial)
        _tell(terminal, results, folder.resolve())


def _compat(wanted: str | None) -> Literal["just-eval-2024"] | None:
    if wanted in (None, "just-eval-2024"):
        return "just-eval-2024" if wanted else None
    raise ProblemError(422, "unknown-compat", f"There is no compat {wanted!r}; there is just-eval-2024.")


def _request(collected: Collected, title: str, baseline: str | None, settings: AnalysisSettings) -> AnalysisRequest:
    arms = collected.arms
    names = [arm.name for arm in arms]
    if baseline is not None and baseline not in names:
        raise ProblemError(
            422, "unknown-arm", f"There is no arm {baseline!r} in the files; there are {', '.join(names)}."
        )
    return AnalysisRequest(
        experiment="files",
        title=title[:500],
        arms=sorted(arms, key=lambda arm: arm.name != baseline),
        languages=list(dict.fromkeys(one.language for one in collected.observations)),
        judges=collected.judges,
        settings=settings,
        observations=collected.observations[:1],
        notes=collected.notes,
    )


def _analyze(
    analyzer: OwnAnalyzer, request: AnalysisRequest, collected: Collected, detect: bool, folder: Path
) -> AnalysisResponse:
    observations = analyzer.detect(collected.observations) if detect else collected.observations
    data = folder / reading.OBSERVATIONS
    with data.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(one.model_dump_json() + "\n" for one in observations)
    return analyzer.analyze(request, data)


def _tell(terminal: Terminal, results: AnalysisResponse, folder: Path) -> None:
    terminal.show(tables.results(results, {}, terminal.console))
    page = folder / "report.html"
    terminal.say(f"\nReport: {page}\n{page.as_uri()}\nTables and figures: {folder}")
    terminal.data({"folder": str(folder), "report": str(page), "results": results.model_dump(mode="json")})
