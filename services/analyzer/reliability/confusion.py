"""Line-level pass rates on the Language Confusion Benchmark's stored outputs: the published method's and ours.

The published method (for-ai/language-confusion, compute_metrics.py): split by newline, drop punctuation, keep lines of
five tokens or more; fastText's lid.176 names each line, below a score of 0.3 it is unknown; an answer passes when every
line is in the language asked for; answers without such a line are left out.

    python -m services.analyzer.reliability.confusion ../shared/data/language-confusion

writes `pass_rates.csv` and `disagreements.csv` anew.
"""

import csv
import json
import string
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import fasttext
from plumbline_analyzer.detectors import language
from plumbline_analyzer.detectors.identifier import LanguageIdentifier, model_path
from plumbline_analyzer.settings import Settings
from plumbline_contracts.analyzer import DetectionItem, Finding

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_LEAST_TOKENS, _LEAST_SCORE = 5, 0.3


class Answer(NamedTuple):
    model: str
    task: str
    language: str
    row: int  # of the model's file, from 0
    text: str


class Verdicts(NamedTuple):
    """`published` is null where the method leaves the answer out; `reason` explains a disagreement."""

    answer: Answer
    published: bool | None
    ours: Finding
    reason: str


def answers(folder: Path) -> Iterator[Answer]:
    for path in sorted((folder / "outputs").glob("*.jsonl")):
        for number, line in enumerate(path.read_text("utf-8").splitlines()):
            row = json.loads(line)
            yield Answer(path.stem, row["task"], row["language"], number, row["completion"])


class Comparison:
    def __init__(self, identifier: LanguageIdentifier) -> None:
        self._identifier = identifier
        self._model = fasttext.load_model(str(model_path()))

    def verdicts(self, answer: Answer) -> Verdicts:
        lines = [(line, *self._named(line)) for line in answer.text.split("\n") if _is_counted(line)]
        wrong = [one for one in lines if one[1] != answer.language]
        item = DetectionItem(id="1", instruction="", response=answer.text, language=answer.language)
        verdict = language.detect(item, self._identifier)
        published = not wrong if lines else None
        reason = ""
        if published is False and verdict.finding != Finding.FOUND:
            reasons = {self._why_not(line, label, score, answer.language) for line, label, score in wrong}
            reason = min(reasons)
        elif published and verdict.finding == Finding.FOUND:
            reason = "we look at sentences, too" if verdict.kind != "response" else "the answer as a whole"
        return Verdicts(answer, published, verdict.finding, reason)

    def _named(self, line: str) -> tuple[str, float]:
        labels, scores = self._model.predict(line.translate(_PUNCTUATION), 1)
        score = float(scores[0]) if labels else 0.0
        return (labels[0].removeprefix("__label__") if score > _LEAST_SCORE else "unknown"), score

    def _why_not(self, line: str, label: str, score: float, expected: str) -> str:
        """Why we do not call a line wrong that the published method calls wrong, by the first rule that spares it."""
        blanked = language.blanked(line)
        if not language.is_long_enough(blanked, language.LEAST_WORDS):
            return "names, quotation, code or formula, or fewer than five words"
        guess = self._identifier.guess(blanked, expected)
        if label == "unknown":
            return "unknown to the published method, below 0.3"
        if label not in self._identifier.languages:
            return "a language outside of our set"
        if guess.language == expected:
            return "in the language asked for once punctuation and case are kept"
        if guess.probability < language.SURE:
            return "less than 0.9 sure"
        return "function words, length or the sentences within speak for the language asked for"


def _is_counted(line: str) -> bool:
    return len(line.translate(_PUNCTUATION).split()) >= _LEAST_TOKENS


def recorded(name: str) -> list[dict[str, str]]:
    with Path(__file__).with_name(name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rates(verdicts: Iterable[Verdicts]) -> Iterator[dict[str, str]]:
    """Per task, model and language: answers that the published method counts, and the shares that pass."""
    groups: defaultdict[tuple[str, str, str], list[Verdicts]] = defaultdict(list)
    for one in verdicts:
        if one.published is not None:
            groups[one.answer.task, one.answer.model, one.answer.language].append(one)
    for (task, model, code), group in sorted(groups.items()):
        published = sum(one.published is True for one in group)
        ours = sum(one.ours != Finding.FOUND for one in group)
        shares = {"published": f"{100 * published / len(group):.1f}", "ours": f"{100 * ours / len(group):.1f}"}
        yield {"task": task, "model": model, "language": code, "n": str(len(group)), **shares}


def disagreements(verdicts: Iterable[Verdicts]) -> Iterator[dict[str, str]]:
    for one in verdicts:
        if one.reason:
            where = {"model": one.answer.model, "row": str(one.answer.row), "task": one.answer.task}
            passes = {"published": "pass" if one.published else "fail", "ours": one.ours.value}
            yield {**where, "language": one.answer.language, **passes, "class": one.reason}


def main(folder: Path) -> None:
    comparison = Comparison(LanguageIdentifier(Settings.model_fields["languages"].default))
    verdicts = [comparison.verdicts(answer) for answer in answers(folder)]
    for name, rows in (("pass_rates.csv", rates(verdicts)), ("disagreements.csv", disagreements(verdicts))):
        written = list(rows)
        with Path(__file__).with_name(name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(written[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(written)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
