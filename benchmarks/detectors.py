"""Detectors on real responses, one core: ours, and what one would write in an afternoon.

    python benchmarks/detectors.py ../shared/data/just-eval

The peers: for loops the zlib ratio that Whisper made popular and a share of distinct 4-grams; for code, leaks and
refusals a regular expression each; for languages lingua on every line (12 languages), which the analyzer used before.
"""

import json
import re
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lingua import IsoCode639_1, LanguageDetectorBuilder
from plumbline_analyzer import detectors
from plumbline_analyzer.detectors.identifier import LanguageIdentifier
from plumbline_analyzer.settings import Settings
from plumbline_contracts.analyzer import DetectionItem, Detector, Finding

LANGUAGES = Settings.model_fields["languages"].default
FAST = [detector for detector in Detector if detector != Detector.WRONG_LANGUAGE]
Verdict = Callable[[DetectionItem], bool]


def responses(folder: Path) -> list[DetectionItem]:
    rows = map(json.loads, (folder / "instructions.jsonl").read_text("utf-8").splitlines())
    instructions = {row["id"]: row["instruction"] for row in rows}
    return [
        DetectionItem(id=str(row["id"]), instruction=instructions[row["id"]], response=row["output"], language="en")
        for path in sorted((folder / "outputs").glob("*.jsonl"))
        for row in map(json.loads, path.read_text("utf-8").splitlines())
    ]


def script() -> dict[Detector, Verdict]:
    code = re.compile(r"```\w+\n|^\s*(?:def |class |import |#include|public class |function )", re.MULTILINE)
    leak = re.compile(r"^#{1,3} ?(?:Query|Answer|User|Assistant|Instruction)\b|<\|im_start\|>|\[INST\]", re.MULTILINE)
    refusal = re.compile(r"I(?:'m sorry| apologize| cannot| can't)|As an AI", re.IGNORECASE)
    return {
        Detector.INFINITE_LOOP: lambda item: _compresses(item.response) or _few_four_grams(item.response),
        Detector.UNINTENDED_CODE: lambda item: code.search(item.response) is not None,
        Detector.PROMPT_LEAKAGE: lambda item: leak.search(item.response) is not None,
        Detector.REFUSAL: lambda item: refusal.search(item.response[:200]) is not None,
    }


def _compresses(text: str) -> bool:
    data = text.encode()
    return len(data) > 6 * len(zlib.compress(data, 9))


def _few_four_grams(text: str) -> bool:
    words = text.split()
    grams = list(zip(words, words[1:], words[2:], words[3:], strict=False))
    return len(grams) > 20 and len(set(grams)) < 0.4 * len(grams)


def lingua_lines() -> Verdict:
    codes = [getattr(IsoCode639_1, language.upper()) for language in LANGUAGES]
    detector = LanguageDetectorBuilder.from_iso_codes_639_1(*codes).with_preloaded_language_models().build()

    def wrong(item: DetectionItem) -> bool:
        lines = [line for line in item.response.split("\n") if len(line.split()) >= 5]
        named = filter(None, map(detector.detect_language_of, lines))
        return any(language.iso_code_639_1.name.lower() != item.language for language in named)

    return wrong


def ours() -> dict[Detector, Verdict]:
    def of(detect: detectors.Detect) -> Verdict:
        return lambda item: detect(item).finding == Finding.FOUND

    return {name: of(detect) for name, detect in detectors.registry(LanguageIdentifier(LANGUAGES)).items()}


def timed(verdicts: Sequence[Verdict], items: Sequence[DetectionItem]) -> float:
    """Responses per second of processor time."""
    start = time.process_time()
    for item in items:
        for verdict in verdicts:
            verdict(item)
    return len(items) / (time.process_time() - start)


def rows(items: Sequence[DetectionItem]) -> Iterator[tuple[str, str, str, str, str]]:
    mine, peers = ours(), script() | {Detector.WRONG_LANGUAGE: lingua_lines()}
    for name, verdict in mine.items():
        found = {i for i, item in enumerate(items) if verdict(item)}
        speed = f"{timed([verdict], items):,.0f}"
        if name not in peers:
            yield name.value, speed, "-", str(len(found)), "-"
            continue
        theirs = {i for i, item in enumerate(items) if peers[name](item)}
        agree = f"{len(theirs)}, {len(found & theirs)} in common"
        yield name.value, speed, f"{timed([peers[name]], items):,.0f}", str(len(found)), agree
    fast_peers = [verdict for name, verdict in peers.items() if name != Detector.WRONG_LANGUAGE]
    fast, slow = timed([mine[name] for name in FAST], items), timed(fast_peers, items)
    yield "all but wrong_language", f"{fast:,.0f}", f"{slow:,.0f}", "", ""
    yield "all", f"{timed(list(mine.values()), items):,.0f}", f"{timed(list(peers.values()), items):,.0f}", "", ""
    known = detectors.registry(LanguageIdentifier(LANGUAGES))
    start = time.process_time()
    for item in items:
        detectors.detect(item, known)
    whole = len(items) / (time.process_time() - start)
    yield "all, as the service answers", f"{whole:,.0f}", "-", "", ""


def main() -> None:
    items = responses(Path(sys.argv[1]))
    head = ("detector", "ours, responses/s", "script or lingua", "ours fires", "peer fires")
    print(f"{len(items):,} responses, one core")
    for row in (head, *rows(items)):
        print(f"{row[0]:28} {row[1]:>18} {row[2]:>18} {row[3]:>11}   {row[4]}")


if __name__ == "__main__":
    main()
