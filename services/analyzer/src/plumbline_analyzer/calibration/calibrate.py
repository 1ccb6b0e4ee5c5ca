"""A judge held against gold: agreement by language, probes, what it may be used for, and the page about it."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from plumbline_contracts.calibrating import (
    CalibrationRequest,
    CalibrationResponse,
    GoldPair,
    GoldScore,
    LanguageCalibration,
    LanguageSwap,
    SwapConsistency,
)
from plumbline_contracts.calibration import Calibration
from plumbline_contracts.judge import Verdict

from . import advice, page
from .correction import counted
from .estimates import confusion, kappa, label, mean, share

ALL = "all"
UNKNOWN_CAUSE = "unknown"


def calibrate(request: CalibrationRequest) -> CalibrationResponse:
    """Pure: the same request gives the same answer."""
    by_language: dict[str, list[GoldScore]] = {}
    for score in request.scores:
        by_language.setdefault(score.language, []).append(score)
    groups = by_language if len(by_language) == 1 else by_language | {ALL: request.scores}
    languages = [_language(name, scores, request) for name, scores in groups.items()]
    swaps = _swaps(request)
    language_swaps = [
        _language_swap(first, second, by_language, request) for first, second in combinations(by_language, 2)
    ]
    may, may_not = advice.of(languages, swaps, language_swaps, request.rubric)
    found = CalibrationResponse(
        languages=languages,
        swaps=swaps,
        language_swaps=[swap for swap in language_swaps if swap.n],
        may=may,
        may_not=may_not,
        calibration=_calibration(request, by_language),
        report="",
    )
    return found.model_copy(update={"report": page.render(request, found)})


def _scored(scores: Sequence[GoldScore]) -> tuple[list[float], list[int]]:
    """The first score of every item that has one, and its gold label."""
    pairs = [(one.scores[0], one.gold) for one in scores if one.scores[0] is not None]
    return [score for score, _ in pairs], [gold for _, gold in pairs]


def _language(name: str, items: Sequence[GoldScore], request: CalibrationRequest) -> LanguageCalibration:
    scores, gold = _scored(items)
    settings = request.settings
    labels = [label(score) for score in scores]
    counts = confusion(scores, gold)
    repeats = [again == one.scores[0] for one in items if one.scores[0] is not None for again in one.scores[1:]]
    padded = [one.padded - one.scores[0] for one in items if one.padded is not None and one.scores[0] is not None]
    return LanguageCalibration(
        language=name,
        n=len(scores),
        missing=dict(Counter(one.missing or UNKNOWN_CAUSE for one in items if one.scores[0] is None)),
        exact=share(sum(a == b for a, b in zip(labels, gold, strict=True)), len(gold), settings),
        within_one=share(sum(abs(a - b) <= 1 for a, b in zip(labels, gold, strict=True)), len(gold), settings),
        kappa=kappa(scores, gold, settings),
        bias=mean([a - b for a, b in zip(scores, gold, strict=True)], settings),
        confusion=counts.tolist(),
        recall=[float(row[at] / row.sum()) if row.sum() else None for at, row in enumerate(counts)],
        stability=share(sum(repeats), len(repeats), settings),
        padding=mean(padded, settings),
    )


def _swaps(request: CalibrationRequest) -> list[SwapConsistency]:
    by_language: dict[str, list[GoldPair]] = {}
    for pair in request.pairs:
        by_language.setdefault(pair.language, []).append(pair)
    return [_swap(language, pairs, request) for language, pairs in by_language.items()]


def _swap(language: str, pairs: Sequence[GoldPair], request: CalibrationRequest) -> SwapConsistency:
    decided = [pair for pair in pairs if Verdict.UNSCORED not in (pair.verdict, pair.swapped)]
    same = [pair for pair in decided if pair.verdict == pair.swapped != Verdict.INCONSISTENT]
    preferring = [pair for pair in same if pair.verdict in (Verdict.A, Verdict.B)]
    return SwapConsistency(
        language=language,
        n=len(decided),
        consistent=share(len(same), len(decided), request.settings),
        right=share(sum(pair.verdict is Verdict.A for pair in preferring), len(preferring), request.settings),
        unscored=len(pairs) - len(decided),
    )


def _language_swap(
    first: str, second: str, by_language: dict[str, list[GoldScore]], request: CalibrationRequest
) -> LanguageSwap:
    one, other = (
        {score.item: score for score in by_language[language] if score.scores[0] is not None}
        for language in (first, second)
    )
    both = [(one[item].scores[0] or 0, other[item].scores[0] or 0) for item in one if item in other]
    return LanguageSwap(
        first=first,
        second=second,
        n=len(both),
        difference=mean([b - a for a, b in both], request.settings),
        same=share(sum(label(a) == label(b) for a, b in both), len(both), request.settings),
    )


def _calibration(request: CalibrationRequest, by_language: dict[str, list[GoldScore]]) -> Calibration:
    return Calibration(
        implementation=request.judge.implementation,
        model=request.judge.model,
        rubric=request.rubric,
        rubric_version=request.rubric_version,
        aspect=request.aspect,
        gold=request.gold,
        languages={language: counted(*_scored(items)) for language, items in by_language.items()},
    )
