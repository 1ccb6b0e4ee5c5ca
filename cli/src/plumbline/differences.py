"""What differs between two experiments: what they are made of, what they found, what the models wrote."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from plumbline_contracts.analyzer import AnalysisResponse
from plumbline_contracts.coordinator import Manifest, ResponseRecord
from plumbline_contracts.experiment import leaves

ABSENT = object()
Cell = tuple[str, ...]
Row = TypeVar("Row")


@dataclass(frozen=True)
class Difference:
    """A value that is not the same in `a` and `b`; ABSENT where one has none."""

    path: str
    a: Any
    b: Any

    def as_data(self) -> dict[str, Any]:
        """For a program: an absent value is no key."""
        return {"path": self.path} | {k: v for k, v in (("a", self.a), ("b", self.b)) if v is not ABSENT}


def of_spec(a: Manifest, b: Manifest) -> list[Difference]:
    """By path, as resolved; arms and judges by their names, so that one more does not shift the others."""
    return between(leaves(_by_name(a.spec)), leaves(_by_name(b.spec)))


def of_parts(a: Manifest, b: Manifest) -> list[Difference]:
    """Versions and digests."""
    parts = {"services", "packages", "rubrics", "prompts", "files", "weights"}
    return between(*(leaves(one.model_dump(mode="json", include=parts)) for one in (a, b)))


def between(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Difference]:
    found = [Difference(path, a.get(path, ABSENT), b.get(path, ABSENT)) for path in {**a, **b}]
    return [one for one in found if one.a != one.b or type(one.a) is not type(one.b)]


def of_means(a: AnalysisResponse, b: AnalysisResponse) -> list[Difference]:
    """Path: judge, arm, language, aspect."""
    return between(_means(a), _means(b))


def of_error_rates(a: AnalysisResponse, b: AnalysisResponse) -> list[Difference]:
    """Path: arm, language, detector."""
    return between(_rates(a), _rates(b))


def _means(results: AnalysisResponse) -> dict[str, float | None]:
    return {" / ".join((one.judge, one.arm, one.language or "all", one.aspect)): one.mean for one in results.means}


def _rates(results: AnalysisResponse) -> dict[str, float | None]:
    return {" / ".join((one.arm, one.language or "all", one.detector)): one.rate for one in results.error_rates}


@dataclass
class Responses:
    """`counts`: (arm, language) -> how many are same, other (another response), judged (otherwise), only_a, only_b."""

    counts: dict[Cell, Counter[str]]
    other: list[Cell]

    @classmethod
    def between(cls, a: Iterable[ResponseRecord], b: Iterable[ResponseRecord]) -> "Responses":
        """Of the first only digests are kept, so that large experiments fit."""
        known = {_key(one): _digests(one) for one in a}
        found = cls({}, [])
        for record in b:
            key = _key(record)
            text, scores = known.pop(key, (None, None))
            now_text, now_scores = _digests(record)
            kind = "same" if scores == now_scores else "judged"
            if text is None:
                kind = "only_b"
            elif text != now_text:
                kind = "other"
                found.other.append(key)
            found._count(key, kind)
        for key in known:
            found._count(key, "only_a")
        return found

    def _count(self, key: Cell, kind: str) -> None:
        self.counts.setdefault(key[:2], Counter())[kind] += 1


def examples(keys: Iterable[Cell], number: int, records: Iterable[ResponseRecord]) -> Iterator[ResponseRecord]:
    """The records of the first few keys, in their order."""
    wanted = list(islice(keys, number))
    found = dict[Cell, ResponseRecord]()
    for record in records:
        if len(found) == len(wanted):
            break
        if (key := _key(record)) in wanted:
            found[key] = record
    return (found[key] for key in wanted)


def _key(record: ResponseRecord) -> Cell:
    return record.arm, record.language, record.item


def _digests(record: ResponseRecord) -> tuple[bytes, bytes]:
    text = repr((record.raw_response, record.missing))
    scores = repr([(one.judge, one.rubric, one.aspect, one.score, one.missing) for one in record.judgments])
    return hashlib.sha256(text.encode()).digest(), hashlib.sha256(scores.encode()).digest()


def _by_name(document: Any) -> Any:
    """Lists of things with a name as mappings."""
    if isinstance(document, dict):
        return {key: _by_name(value) for key, value in document.items()}
    if isinstance(document, list) and document and all(isinstance(one, dict) and "name" in one for one in document):
        return {one["name"]: _by_name(one) for one in document}
    return document
