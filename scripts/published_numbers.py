"""Write docs/published-numbers.md: recorded just-eval judgments through our analyzer, beside what was published.

    python scripts/published_numbers.py ../shared/data/just-eval/judgments

The published figures are Lin et al., "The Unlocking Spell on Base LLMs" (ICLR 2024), table 1, column Safe, and, for the
judgments by gpt-4-1106-preview, the means as just-eval's report computes them from the recorded replies ("N/A" is 5).
"""

import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from plumbline.analysis import reading
from plumbline.analysis.given import Source
from plumbline_analyzer import observations, results
from plumbline_contracts.analyzer import AnalysisRequest, AnalysisSettings, AspectMean
from plumbline_kit.folder_store import FolderStore

TARGET = Path(__file__).resolve().parents[1] / "docs" / "published-numbers.md"
# Name of the file's arm -> (row of the table, published mean).
PUBLISHED = {
    "vicuna-7b-v1.5": ("Vicuna-7b (SFT)", "4.60"),
    "Mistral-7B-Instruct-v0.1": ("Mistral-7b-instruct (SFT)", "4.75"),
}
HEAD = """# Published numbers through our analyzer

Made by `python scripts/published_numbers.py FOLDER` from recorded judge replies of
[just-eval](https://github.com/Re-Align/just-eval); a test compares it where the data is there.

"""


def arm_of(path: Path) -> str:
    return path.name.split(".safety")[0].split(".multi")[0]


def request(folder: Path, compat: bool) -> results.Numbers:
    """One arm a file. Files of the safety rubric and of the others have different items, and so are no comparison."""
    collected = reading.collect([Source(path, arm_of(path), "en") for path in sorted(folder.glob("*.jsonl"))])
    with tempfile.TemporaryDirectory() as store:
        path = Path(store) / "observations.jsonl"
        path.write_text("".join(one.model_dump_json() + "\n" for one in collected.observations))
        artifacts = FolderStore(Path(store) / "artifacts")
        asked = AnalysisRequest(
            experiment="published",
            title="Published numbers",
            arms=collected.arms,
            languages=["en"],
            judges=collected.judges,
            settings=AnalysisSettings(compat="just-eval-2024" if compat else None),
            data=artifacts.put(path, "data"),
        )
        return results.numbers(observations.read(asked, artifacts))


def theirs(folder: Path) -> dict[tuple[str, str], float]:
    """(judge and arm, aspect) -> mean as just-eval's `report()` has it: a score that is N/A is 5."""
    scores = defaultdict[tuple[str, str], list[float]](list)
    for path in sorted(folder.glob("*.jsonl")):
        arm = arm_of(path)
        for line in path.read_text("utf-8").splitlines():
            for aspect, said in json.loads(line)["parsed"].items():
                scores[arm, aspect].append(5.0 if said["score"] == "N/A" else float(said["score"]))
    return {key: sum(values) / len(values) for key, values in scores.items()}


def page(folder: Path) -> str:
    compat, honest = ({_key(one): one for one in request(folder, which).means if one.n} for which in (True, False))
    return HEAD + "\n".join(_lines(theirs(folder), compat, honest)) + "\n"


def _key(mean: AspectMean) -> tuple[str, str]:
    return mean.arm, mean.aspect


def _lines(
    published: dict[tuple[str, str], float],
    compat: dict[tuple[str, str], AspectMean],
    honest: dict[tuple[str, str], AspectMean],
) -> Iterator[str]:
    columns = ["arm", "judge", "aspect", "just-eval's mean", "ours, `compat: just-eval-2024`", "ours"]
    columns += ["interval", "n", "N/A", "bounds"]
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"
    for key, mean in published.items():
        same, own = compat[key], honest[key]
        absent = own.missing.get("not_applicable", 0)
        bounds = f"{own.worst:.3f} to {own.best:.3f}" if absent else ""
        yield (
            f"| {own.arm} | {own.judge} | {own.aspect} | {mean:.4f} | {same.mean:.4f} | {own.mean:.4f} |"
            f" {own.low:.3f} to {own.high:.3f} | {own.n} | {absent} | {bounds} |"
        )
    largest = max(abs(mean - (compat[key].mean or 0)) for key, mean in published.items())
    yield ""
    yield f"Largest difference between just-eval's mean and ours under `compat: just-eval-2024`: {largest:.1e}."
    yield ""
    lost = sum(own.missing.get("not_applicable", 0) for own in honest.values())
    most = max(published, key=lambda key: abs(published[key] - (honest[key].mean or 0)))
    yield f'{lost} scores of these are "N/A", and just-eval counts each as 5. We count them as missing, by their'
    change = f"{published[most]:.3f} becomes {honest[most].mean:.3f}"
    yield f"cause, and show the bounds. That changes {most[1]} the most: {change}."
    yield ""
    yield "| arm | table 1 of the URIAL paper, Safe | recorded, through our analyzer |"
    yield "|---|---|---|"
    for arm, (row, figure) in PUBLISHED.items():
        yield f"| {arm} | {row}: {figure} | {compat[arm, 'safety'].mean:.3f} |"


def main() -> None:
    TARGET.write_text(page(Path(sys.argv[1])), encoding="utf-8")
    print(TARGET)


if __name__ == "__main__":
    main()
