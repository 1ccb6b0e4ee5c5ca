"""A full analysis at scale, against the straightforward pandas and scipy script, in the same run with equal results.

    python benchmarks/analysis.py            # 10k, 100k and 1M judgments; the script on a sample of the last
    python benchmarks/analysis.py 20x10x100  # arms x languages x items, five aspects each

Ours: JSON lines in, all numbers (means, paired differences with three views, errors, differences between languages,
10,000 resamples), page and folder out. The script: pandas reads the same lines, then scipy.stats.bootstrap (BCa, 10,000
resamples, same seed, `nanmean`) for each mean and each paired difference per language, and nothing else; `same` is what
ours takes, reading included, for just that and the tests. Equal: the intervals of every cell that the script did are
compared with ours, to 1e-6. The script does cells in random order for 40 seconds, and what is left is scaled; the
table says so. Seconds are of CPU (all threads), but for `wall`.
"""

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from plumbline_analyzer import comparisons, findings, means, observations, report, results
from plumbline_analyzer.doubts import doubts
from plumbline_analyzer.statistics.bootstrap import Bootstrap
from plumbline_contracts.analyzer import AnalysisRequest, AnalysisSettings, ArmLabel, Detector, JudgeLabel
from plumbline_kit.folder_store import FolderStore
from scipy import stats

SIZES = ("20x10x10", "20x10x100", "20x10x1000")
LANGUAGES = ("en", "fr", "es", "de", "it", "pt", "ca", "ru", "nl", "eu")
ASPECTS = ("helpfulness", "clarity", "factuality", "depth", "engagement")
RESAMPLES, SEED, LONGEST_S = 10_000, 0, 40.0
Cell = tuple[str, str, str]


def lines(arms: int, languages: int, items: int) -> Iterator[str]:
    """Scores of 1 to 5 with item effects, 1% missing; 2% of the detections found."""
    dice = np.random.default_rng(SEED)
    ease = dice.normal(0, 0.7, (items, len(ASPECTS)))
    for arm in range(arms):
        for language in LANGUAGES[:languages]:
            scores = np.clip(np.rint(3.2 + 0.05 * arm + ease + dice.normal(0, 0.9, ease.shape)), 1, 5)
            lost, found = dice.random(ease.shape) < 0.01, dice.random((items, len(Detector))) < 0.02
            for item in range(items):
                yield json.dumps(
                    {
                        "item": str(item),
                        "arm": f"arm{arm:02d}",
                        "language": language,
                        "instruction": f"Say something about {item}.",
                        "response": "word " * (20 + item % 40),
                        "detections": [
                            {
                                "detector": detector.value,
                                "finding": "found" if found[item, place] else "absent",
                                "evidence": None,
                                "start": None,
                                "end": None,
                            }
                            for place, detector in enumerate(Detector)
                        ],
                        "scores": [
                            {
                                "judge": "judge",
                                "rubric": "r",
                                "aspect": aspect,
                                "score": None if lost[item, place] else scores[item, place],
                                "missing": "unparsable_reply" if lost[item, place] else None,
                            }
                            for place, aspect in enumerate(ASPECTS)
                        ],
                    }
                )


def ours(path: Path, arms: int, languages: int, folder: Path) -> tuple[results.Numbers, dict[str, float]]:
    """The numbers, and the seconds of each part."""
    store = FolderStore(folder / "store")
    request = AnalysisRequest(
        experiment="benchmark",
        title="Benchmark",
        arms=[ArmLabel(name=f"arm{arm:02d}", model="m", weights="base", prompting="chat") for arm in range(arms)],
        languages=list(LANGUAGES[:languages]),
        judges=[JudgeLabel(name="judge", implementation="i", model="m", description="A judge.")],
        settings=AnalysisSettings(resamples=RESAMPLES, seed=SEED),
        data=store.put(path, "data"),
    )
    seconds, start, clock = {}, time.process_time(), time.perf_counter()
    table = observations.read(request, store)
    seconds["read"] = time.process_time() - start
    numbers = results.numbers(table)
    seconds["numbers"] = time.process_time() - start - seconds["read"]
    contents = report.Contents(numbers, findings.results(request, numbers), doubts(request, numbers))
    drawn = report.figures(table, numbers)
    page = report.render(table, contents, drawn)
    (folder / "out").mkdir()
    report.write(page, table, contents, drawn, folder / "out")
    seconds["all"] = time.process_time() - start
    seconds["report"], seconds["wall"] = (
        seconds["all"] - seconds["read"] - seconds["numbers"],
        time.perf_counter() - clock,
    )
    seconds["same"], start = seconds["read"], time.process_time()
    bootstrap = Bootstrap(RESAMPLES, SEED, request.settings.confidence)
    list(means.means(table, bootstrap))
    comparisons.family(table, list(table.aspects["judge"].values()), bootstrap)
    seconds["same"] += time.process_time() - start
    return numbers, seconds


def script(path: Path, numbers: results.Numbers) -> tuple[float, float, int, int]:
    """Seconds to read, seconds for the cells that were done, how many those were, and how many there are."""
    start = time.process_time()
    rows = pd.read_json(path, lines=True, dtype={"item": str})
    scores = pd.json_normalize(
        rows.to_dict("records"), record_path="scores", meta=["item", "arm", "language"], meta_prefix=""
    )
    wide = scores.pivot_table(
        index="item", columns=["arm", "language", "aspect"], values="score", sort=True, observed=True, dropna=False
    )
    reading = time.process_time() - start
    expected = _intervals(numbers)
    cells = list(expected)
    dice = np.random.default_rng(1)
    dice.shuffle(cells)
    done, start = 0, time.process_time()
    for kind, arm, language, aspect in cells:
        values = wide[arm, language, aspect].to_numpy(float)
        if kind == "difference":
            values = values - wide["arm00", language, aspect].to_numpy(float)
        interval = stats.bootstrap(
            (values,),
            np.nanmean,
            n_resamples=RESAMPLES,
            batch=1000,
            method="BCa",
            vectorized=True,
            rng=np.random.default_rng(SEED),
        ).confidence_interval
        np.testing.assert_allclose((interval.low, interval.high), expected[kind, arm, language, aspect], atol=1e-6)
        done += 1
        if time.process_time() - start > LONGEST_S:
            break
    return reading, time.process_time() - start, done, len(cells)


def _intervals(numbers: results.Numbers) -> dict[tuple[str, str, str, str], tuple[Any, Any]]:
    mean = {("mean", one.arm, one.language, one.aspect): (one.low, one.high) for one in numbers.means}
    return mean | {
        ("difference", one.arm, one.language, one.aspect): (one.low, one.high)
        for one in numbers.differences
        if one.language is not None and one.refused is None
    }


def main() -> None:
    print(
        "judgments   read  numbers  report    all   wall  peak GB |   same  script: read  cells done  all cells  times"
    )
    for size in sys.argv[1:] or SIZES:
        arms, languages, items = map(int, size.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "observations.jsonl"
            path.write_text("\n".join(lines(arms, languages, items)) + "\n")
            numbers, seconds = ours(path, arms, languages, Path(folder))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            reading, working, done, cells = script(path, numbers)
        whole = reading + working * cells / done
        scaled = "" if done == cells else " (scaled)"
        print(
            f"{arms * languages * items * len(ASPECTS):9,} {seconds['read']:5.1f} {seconds['numbers']:8.1f}"
            f" {seconds['report']:7.1f} {seconds['all']:6.1f} {seconds['wall']:6.1f} {peak:8.2f} |"
            f" {seconds['same']:6.1f}"
            f" {reading:13.1f} {done:5}/{cells:5} {whole:10.0f} {whole / seconds['same']:6.1f}{scaled}",
            flush=True,
        )


if __name__ == "__main__":
    main()
