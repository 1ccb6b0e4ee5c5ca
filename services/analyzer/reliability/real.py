"""What fires on real responses (just-eval: 5 aligned systems, 1,000 instructions), and how each firing was read.

    python -m services.analyzer.reliability.real ../shared/data/just-eval

writes `firings.csv` anew and keeps the readings that are there; a new firing is `unread` until somebody reads it.
"""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from plumbline_analyzer.detectors import Detect
from plumbline_contracts.analyzer import DetectionItem, Detector, Finding

from .measure import registry

FIRINGS = Path(__file__).with_name("firings.csv")


class Firing(NamedTuple):
    detector: str
    system: str
    id: str
    kind: str
    category: str
    reading: str = "unread"


def items(folder: Path) -> Iterator[tuple[str, str, DetectionItem]]:
    """System, category and what to look at."""
    instructions = {row["id"]: row for row in _rows(folder / "instructions.jsonl")}
    for path in sorted((folder / "outputs").glob("*.jsonl")):
        for row in _rows(path):
            asked = instructions[row["id"]]
            item = DetectionItem(
                id=str(row["id"]), instruction=asked["instruction"], response=row["output"], language="en"
            )
            yield path.stem, asked["category"], item


def firings(
    responses: Iterable[tuple[str, str, DetectionItem]], detectors: Mapping[Detector, Detect]
) -> Iterator[Firing]:
    for system, category, item in responses:
        for detector, detect in detectors.items():
            verdict = detect(item)
            if verdict.finding == Finding.FOUND:
                yield Firing(detector.value, system, item.id, verdict.kind or "", category)


def recorded() -> list[Firing]:
    with FIRINGS.open(encoding="utf-8", newline="") as file:
        return [Firing(**row) for row in csv.DictReader(file)]


def _rows(path: Path) -> Iterator[dict[str, object]]:
    return map(json.loads, path.read_text("utf-8").splitlines())


def main(folder: Path) -> None:
    known = {one[:3]: one.reading for one in recorded()} if FIRINGS.exists() else {}
    found = sorted(firings(items(folder), registry()), key=lambda one: (one.detector, one.system, int(one.id)))
    with FIRINGS.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Firing._fields)
        writer.writerows(one._replace(reading=known.get(one[:3], "unread")) for one in found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
