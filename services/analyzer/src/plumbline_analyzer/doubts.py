"""What a reader must know before trusting the numbers, and what the evidence cannot show."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import median

from plumbline_contracts.analyzer import (
    AnalysisRequest,
    AspectMean,
    Check,
    Conclusion,
    Detector,
    Difference,
    JudgeRole,
    PairedDifference,
)

from .findings import FEW, MODEL_FREE
from .results import Numbers
from .wording import language_name, listed, number, percent, plain, signed

_COVERAGE_GAP = 0.05
COMPAT = (
    "compat just-eval-2024: an aspect that the judge called not applicable counts 5, as just-eval counted it."
    " Compare with just-eval's published numbers only."
)


def doubts(request: AnalysisRequest, numbers: Numbers) -> list[str]:
    return list(_doubts(request, numbers))


def _doubts(request: AnalysisRequest, numbers: Numbers) -> Iterator[str]:
    if not any(mean.n for mean in numbers.means):
        yield "No response was scored, so there is no mean to compare."
    # `truncated` decides on few responses by its nature where loops are ended early, and no finding rests on it.
    rates = [rate.n for rate in numbers.error_rates if rate.detector != Detector.TRUNCATED]
    smallest = min((n for n in (*(mean.n for mean in numbers.means), *rates) if n), default=FEW)
    if smallest < FEW:
        items = "1 item" if smallest == 1 else f"{smallest} items"
        yield f"Small sample: some numbers rest on {items} only; trust intervals, not means."
    yield from _coverage(numbers.means)
    shadows = {judge.name for judge in request.judges if judge.role == JudgeRole.SHADOW}
    mine = [*(one for one in numbers.differences if one.judge not in shadows), *numbers.error_differences]
    yield from _open(mine)
    yield from _flips(mine)
    yield from _loops(request, numbers)
    if request.settings.compat:
        yield COMPAT
    if request.judges and all(judge.model is None for judge in request.judges):
        yield MODEL_FREE


def _coverage(means: Sequence[AspectMean]) -> Iterator[str]:
    groups: dict[tuple[str, str], dict[str, list[AspectMean]]] = defaultdict(lambda: defaultdict(list))
    for mean in means:
        groups[mean.language, mean.judge][mean.arm].append(mean)
    for (language, judge), arms in groups.items():
        shares = {arm: _scored_share(group) for arm, group in arms.items()}
        least, most = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
        if shares[most] - shares[least] > _COVERAGE_GAP:
            yield (
                f"Coverage differs in {language_name(language)} (judge {judge}): {percent(shares[least])} of the"
                f" scores are there for {least}, {percent(shares[most])} for {most}; compare differences and bounds,"
                " not means."
            )


def _scored_share(group: list[AspectMean]) -> float:
    scored, missing = sum(mean.n for mean in group), sum(sum(mean.missing.values()) for mean in group)
    return scored / (scored + missing) if scored + missing else 0.0


def _open(mine: Sequence[PairedDifference]) -> Iterator[str]:
    """How much could not be seen. No difference shown is not equality: the interval says how large it may still be."""
    refused = [one for one in mine if one.conclusion == Conclusion.REFUSED and one.n]
    if refused:
        yield (
            f"{len(refused)} of {len(mine)} comparisons are refused because the arms' coverage differs"
            " (setting analysis.coverage_gap); the bounds say what they could have been."
        )
    unseen = [
        max(abs(one.low), abs(one.high))
        for one in mine
        if isinstance(one, Difference) and one.conclusion == Conclusion.NO_DIFFERENCE
        if one.low is not None and one.high is not None
    ]
    if unseen:
        yield (
            f"Where no difference is shown, there may still be one: half of those intervals reach to"
            f" {number(median(unseen))} points or further."
        )


def _flips(mine: Sequence[PairedDifference]) -> Iterator[str]:
    tried: dict[str, list[Check]] = defaultdict(list)
    for one in mine:
        for check in one.checks:
            tried[check.against].append(check)
    robust: list[str] = []
    flipped: list[str] = []
    for against, checks in tried.items():
        flips = sum(check.flips for check in checks)
        (flipped if flips else robust).append(f"{flips} of {len(checks)} against {against}" if flips else against)
    if flipped:
        yield f"Conclusions that another view flips: {listed(flipped)}; the table of checks names each."
    if robust:
        yield f"No conclusion flips against {listed(robust)}."


def _loops(request: AnalysisRequest, numbers: Numbers) -> Iterator[str]:
    """What ending loops early may have changed, by those that were let run."""
    ended = sum(one.ended for one in numbers.early_stops)
    if not ended:
        return
    said = f"{ended} of {sum(one.n for one in numbers.early_stops)} responses were ended early, as loops."
    if not numbers.loop_audits:
        yield f"{said} None of the audited responses, which are let run, is a loop: what that changed is not known."
        return
    all_of_them = numbers.loop_audits[0]
    yield (
        f"{said} Of {all_of_them.n} loops that were let run, ending would have changed what a detector finds on"
        f" {all_of_them.changed} (of all loops on {percent(all_of_them.at_most)} at most, with"
        f" {percent(request.settings.confidence)} confidence)."
    )
    yield from _loop_scores(numbers)


def _loop_scores(numbers: Numbers) -> Iterator[str]:
    """What judges made of ended loops, by other loops that were let run."""
    known = [one for one in numbers.loop_scores if one.low is not None]
    if not known:
        yield "Judges scored ended loops as they are; what they give whole ones cannot be told from so few."
        return
    apart = [one for one in known if (one.low or 0) > 0 or (one.high or 0) < 0]
    said = (
        f"Judges gave loops that were ended other scores than loops that were let run, which are other items, in"
        f" {len(apart)} of {len(known)} comparisons"
    )
    if not apart:
        yield f"{said}; small differences may be there."
        return
    most = max(apart, key=lambda one: abs(one.difference or 0))
    yield f"{said}; the largest: {signed(most.difference)} for {plain(most.aspect)} of {most.arm} ({most.judge})."
