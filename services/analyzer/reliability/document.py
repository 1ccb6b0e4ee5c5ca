"""Renders docs/detectors.md: reliability on the labelled cases, on real responses, and beside a published method."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from plumbline_analyzer.detectors import VERSION
from plumbline_analyzer.wording import NONE
from plumbline_contracts.analyzer import Detector

from . import confusion, real
from .cases import FOLDER, LANGUAGES, PARTS
from .measure import Answer, Counts, answers, counts, registry

DOCUMENT = Path(__file__).parents[3] / "docs" / "detectors.md"
GOAL = (0.99, 0.97)  # precision and recall per detector on held-out cases


def measured() -> dict[tuple[str, str], list[Answer]]:
    """Part and language -> what every detector said on every case."""
    known = registry()
    return {(part, language): answers(part, language, known) for part in PARTS for language in LANGUAGES}


def render(answered: dict[tuple[str, str], list[Answer]]) -> str:
    text = (FOLDER / "detectors.md.in").read_text("utf-8")
    sections = {
        "version": VERSION,
        "sizes": _table(["part", *LANGUAGES, "all"], _sizes(answered)),
        "held_out": _table(_REPORT, _reliability(answered, "held_out")),
        "development": _table(_REPORT, _reliability(answered, "development", by_language=False)),
        "firings": _table(["detector", "kind", "fired", "read as right", "read as wrong"], _firings()),
        "refusals": _table(["system", "regular items", "safety items"], _refusals()),
        "pass_rates": _table(["task", "model", "language", "n", "published", "ours"], _pass_rates()),
        "disagreements": _table(["published", "ours", "class", "answers"], _disagreements()),
    }
    for name, section in sections.items():
        text = text.replace(f"{{{name}}}", section)
    return text


_REPORT = [
    "detector",
    "language",
    "right",
    "false",
    "missed",
    "precision (95%)",
    "recall (95%)",
    "not applicable, said",
]


def _sizes(answered: dict[tuple[str, str], list[Answer]]) -> Iterator[list[str]]:
    for part in PARTS:
        sizes = [len(answered[part, language]) for language in LANGUAGES]
        yield [part.replace("_", "-"), *map(str, sizes), str(sum(sizes))]


def _reliability(
    answered: dict[tuple[str, str], list[Answer]], part: str, *, by_language: bool = True
) -> Iterator[list[str]]:
    for detector in Detector:
        every = [answer for language in LANGUAGES for answer in answered[part, language]]
        for language in LANGUAGES if by_language else ():
            yield _row(detector, language, counts(answered[part, language], detector))
        yield _row(detector, "all", counts(every, detector))


def _row(detector: Detector, language: str, found: Counts) -> list[str]:
    said = f"{found.applicable.part} of {found.applicable.whole}" if found.applicable.whole else NONE
    numbers = [str(found.right), str(found.false), str(found.missed), str(found.precision), str(found.recall), said]
    return [f"`{detector.value}`", language, *numbers]


def _firings() -> Iterator[list[str]]:
    groups = Counter((one.detector, one.kind, one.reading) for one in real.recorded())
    for detector, kind in sorted({key[:2] for key in groups}):
        right, wrong = groups[detector, kind, "true"], groups[detector, kind, "false"]
        total = sum(count for key, count in groups.items() if key[:2] == (detector, kind))
        yield [f"`{detector}`", kind or NONE, str(total), str(right), str(wrong)]


def _refusals() -> Iterator[list[str]]:
    refusals = [one for one in real.recorded() if one.detector == Detector.REFUSAL.value]
    groups = Counter((one.system, one.category) for one in refusals)
    for system in sorted({one.system for one in refusals}):
        yield [system, f"{groups[system, 'regular']} of 800", f"{groups[system, 'safety']} of 200"]


def _pass_rates() -> Iterator[list[str]]:
    for row in confusion.recorded("pass_rates.csv"):
        yield list(row.values())


def _disagreements() -> Iterator[list[str]]:
    groups = Counter((row["published"], row["ours"], row["class"]) for row in confusion.recorded("disagreements.csv"))
    for key, count in sorted(groups.items(), key=lambda one: (one[0][0], -one[1])):
        yield [*key, str(count)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
