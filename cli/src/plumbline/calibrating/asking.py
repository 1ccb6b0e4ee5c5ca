"""Ask a judge about gold items: repeats, padded responses, pairs in both orders."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from statistics import fmean
from typing import TypeVar

from plumbline_contracts.calibrating import GoldPair, GoldScore
from plumbline_contracts.judge import (
    ComparisonItem,
    ComparisonRequest,
    ComparisonResponse,
    Judgment,
    JudgmentItem,
    JudgmentRequest,
    JudgmentResponse,
    Rubric,
    RubricDefinition,
    Rubrics,
    Verdict,
)
from plumbline_kit.client import ServiceClient
from plumbline_kit.errors import ProblemError

from .gold import GoldItem

MEAN = "mean"
_BATCH = 32
_LONGEST = 400_000
_SWAPPED = {Verdict.A: Verdict.B, Verdict.B: Verdict.A}
Item = TypeVar("Item")
Answer = TypeVar("Answer")
Told = Callable[[str, int], object]


@dataclass(frozen=True)
class Preference:
    """Two responses to one instruction; gold prefers `better`."""

    id: str
    item: GoldItem
    better: str
    worse: str


@dataclass
class Asking:
    """Without a `rubric` every item is judged on its own criterion. `told` hears what was asked and how many items of
    it are done."""

    client: ServiceClient
    rubric: str | None
    aspect: str
    told: Told = field(default=lambda what, done: None)
    versions: set[str] = field(default_factory=set)

    def version_of_criteria(self) -> str:
        """One for all the criteria that were asked, of the versions that the judge answered for each."""
        return hashlib.sha256("\n".join(sorted(self.versions)).encode()).hexdigest()[:8]

    async def scores(self, items: Sequence[GoldItem], repeats: int) -> list[GoldScore]:
        """Repeats are requests of their own: a judge may ask its model once for what one request asks twice."""
        rounds = [await self._judge("scores", items, lambda item: item.response) for _ in range(repeats)]
        padded = await self._judge("padded responses", items, _padded)
        return [
            GoldScore(
                item=item.id,
                language=item.language,
                gold=item.gold,
                scores=[answers[at][0] for answers in rounds],
                missing=rounds[0][at][1],
                padded=padded[at][0],
            )
            for at, item in enumerate(items)
        ]

    async def _judge(
        self, what: str, items: Sequence[GoldItem], text: Callable[[GoldItem], str]
    ) -> list[tuple[float | None, str | None]]:
        """Score, or the cause why there is none, per item."""

        async def ask(part: Sequence[GoldItem]) -> list[tuple[float | None, str | None]]:
            asked = [
                JudgmentItem(
                    id=str(at),
                    instruction=item.instruction,
                    response=text(item),
                    language=item.language,
                    reference=item.reference,
                )
                for at, item in enumerate(part)
            ]
            request = JudgmentRequest(rubric=self._rubric(part[0]), items=asked)
            answer = await self.client.call("POST", "/v1/judgments", JudgmentResponse, request)
            self.versions.add(answer.rubric_version)
            by_id = {judgment.id: judgment for judgment in answer.judgments}
            return [self._score(by_id.get(item.id)) for item in asked]

        return await self._all(what, items, ask)

    def _rubric(self, item: GoldItem) -> str | RubricDefinition:
        if self.rubric is not None:
            return self.rubric
        assert item.criterion is not None
        version = hashlib.sha256(item.criterion.model_dump_json().encode()).hexdigest()[:8]
        return RubricDefinition(name="criterion", version=version, aspects=[item.criterion])

    async def _all(
        self, what: str, items: Sequence[Item], ask: Callable[[Sequence[Item]], Awaitable[list[Answer]]]
    ) -> list[Answer]:
        """Answers in the order of the items, a batch at a time. A request has one rubric, so with criteria of their own
        each item of a batch is a request, and these are under way together."""
        found = list[Answer]()
        for batch in _batches(items):
            parts = [[item] for item in batch] if self.rubric is None else [batch]
            found += chain.from_iterable(await asyncio.gather(*map(ask, parts)))
            self.told(what, len(batch))
        return found

    def _score(self, judgment: Judgment | None) -> tuple[float | None, str | None]:
        if judgment is None:
            return None, "contract-broken"
        wanted = [one for one in judgment.scores if self.aspect in (MEAN, one.aspect)]
        scores = [one.score for one in wanted if one.score is not None]
        causes = [str(one.unscored.cause) for one in wanted if one.unscored is not None]
        return (fmean(scores), None) if scores else (None, next(iter(causes), "contract-broken"))

    async def pairs(self, pairs: Sequence[Preference]) -> list[GoldPair]:
        """Each asked in both orders; `a` is the better one in both verdicts."""
        first = await self._compare(pairs, lambda pair: (pair.better, pair.worse))
        second = await self._compare(pairs, lambda pair: (pair.worse, pair.better))
        return [
            GoldPair(language=pair.item.language, verdict=one, swapped=_SWAPPED.get(other, other))
            for pair, one, other in zip(pairs, first, second, strict=True)
        ]

    async def _compare(
        self, pairs: Sequence[Preference], order: Callable[[Preference], tuple[str, str]]
    ) -> list[Verdict]:
        async def ask(part: Sequence[Preference]) -> list[Verdict]:
            asked = [
                ComparisonItem(
                    id=str(at),
                    instruction=pair.item.instruction,
                    response_a=order(pair)[0],
                    response_b=order(pair)[1],
                    language=pair.item.language,
                )
                for at, pair in enumerate(part)
            ]
            request = ComparisonRequest(rubric=self._rubric(part[0].item), items=asked)
            answer = await self.client.call("POST", "/v1/comparisons", ComparisonResponse, request)
            verdicts = {one.id: one.verdict for one in answer.comparisons}
            return [verdicts.get(item.id, Verdict.UNSCORED) for item in asked]

        return await self._all("pairs", pairs, ask)


def _padded(item: GoldItem) -> str:
    """The response twice: longer, and nothing more is said (after the "repetitive list" of arXiv 2306.05685)."""
    twice = f"{item.response}\n\n{item.response}"
    return twice if len(twice) <= _LONGEST else item.response


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))


async def rubric_of(client: ServiceClient, name: str | None, aspect: str) -> Rubric:
    """The rubric asked for, or the judge's first. Raises the problems `unknown-rubric` and `unknown-aspect`."""
    rubrics = (await client.call("GET", "/v1/rubrics", Rubrics)).rubrics
    found = [rubric for rubric in rubrics if name in (None, rubric.name)]
    if not found:
        have = ", ".join(rubric.name for rubric in rubrics)
        raise ProblemError(422, "unknown-rubric", f"The judge has no rubric {name!r}; it has {have}.")
    aspects = [one.name for one in found[0].aspects]
    if aspect not in (MEAN, *aspects):
        detail = f"The rubric {found[0].name!r} has no aspect {aspect!r}; it has {', '.join(aspects)}, and {MEAN}."
        raise ProblemError(422, "unknown-aspect", detail)
    return found[0]


def preferences(items: Sequence[GoldItem], most: int) -> list[Preference]:
    """Up to `most` pairs per language: two responses to one instruction with labels that answer the same, or else a
    response and its reference, which counts as 5."""
    groups: dict[tuple[str, str, str], list[GoldItem]] = defaultdict(list)
    for item in items:
        groups[item.language, item.instruction, str(item.criterion)].append(item)
    by_language: dict[str, list[Preference]] = defaultdict(list)
    for (language, *_), group in groups.items():
        ordered = sorted(group, key=lambda item: item.gold)
        worst, best = ordered[0], ordered[-1]
        if worst.gold < best.gold:
            by_language[language].append(Preference(worst.id, worst, best.response, worst.response))
        elif worst.gold < 5 and worst.reference:
            by_language[language].append(Preference(worst.id, worst, worst.reference, worst.response))
    return [pair for pairs in by_language.values() for pair in spread(pairs, most)]


def spread(items: Sequence[Item], most: int | None) -> list[Item]:
    """At most so many, evenly over the whole."""
    if most is None or len(items) <= most:
        return list(items)
    return [items[at * len(items) // most] for at in range(most)]
