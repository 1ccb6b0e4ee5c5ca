"""Sentences that the numbers support: who scores higher, who errs less, and where an arm does not help."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from plumbline_contracts.analyzer import AnalysisRequest, AspectMean, Detector, Difference, ErrorRate

from .aggregate import Compared
from .wording import language_name, listed, number, percent

FEW = 30
FEWEST_CHANGED = 6  # the fewest with which a two-sided sign test reaches 5 %: 2 / 2**6
_COVERAGE_GAP = 0.05
MODEL_FREE = "Scores come from stated rules, not from a judgment of quality."
NO_DIFFERENCE = "no difference that this sample can show"
CRITICAL = {
    Detector.INFINITE_LOOP: "infinite loops",
    Detector.UNINTENDED_CODE: "responses with unintended code",
    Detector.WRONG_LANGUAGE: "responses in the wrong language",
}


class Result(NamedTuple):
    """A sentence that stands by itself. `judge` is null where it is about errors."""

    language: str
    judge: str | None
    sentence: str


def results(request: AnalysisRequest, rates: list[ErrorRate], differences: list[Compared]) -> list[Result]:
    """Language by language, scores first."""
    return [result for language in request.languages for result in _results(request, rates, differences, language)]


def _results(
    request: AnalysisRequest, rates: list[ErrorRate], differences: list[Compared], language: str
) -> Iterator[Result]:
    for judge in request.judges:
        group = [d for d in differences if (d.difference.language, d.difference.judge) == (language, judge.name)]
        by = f" (judge {judge.name})" if len(request.judges) > 1 else ""
        for sentence in _comparisons(request, group):
            yield Result(language, judge.name, f"{sentence}{by}.")
    for sentence in _error_comparisons([rate for rate in rates if rate.language == language]):
        yield Result(language, None, sentence)


def warnings(request: AnalysisRequest, means: list[AspectMean], rates: list[ErrorRate]) -> list[str]:
    """What a reader must know before trusting the numbers."""
    return list(_warnings(request, means, rates))


def shown(compared: Compared) -> int:
    """1 or -1 where the interval lies above or below 0 and enough items changed, otherwise 0."""
    low, high = compared.difference.low, compared.difference.high
    if low is None or high is None or compared.changed < FEWEST_CHANGED:
        return 0
    return (low > 0) - (high < 0)


def _comparisons(request: AnalysisRequest, differences: list[Compared]) -> Iterator[str]:
    arms = {arm.name: arm for arm in request.arms}
    for arm in request.arms:
        group = [compared for compared in differences if compared.difference.arm == arm.name and compared.difference.n]
        if group:
            baseline = arms[group[0].difference.baseline]
            # Only an arm with the baseline's model and prompting says what its training alone is worth.
            same = (arm.model, arm.prompting) == (baseline.model, baseline.prompting)
            yield _comparison(group) + (_help(group, arm.weights) if same and arm.weights != baseline.weights else "")


def _comparison(group: list[Compared]) -> str:
    first = group[0].difference
    arm, baseline, where = first.arm, first.baseline, f"in {language_name(first.language)}"
    higher, lower = ([d.difference for d in group if shown(d) == sign] for sign in (1, -1))
    parts = [_amounts(some, word) for some, word in ((higher, "higher"), (lower, "lower")) if some]
    rest = [d.difference.aspect for d in group if not shown(d)]
    if not parts:
        return f"{arm} against {baseline} {where}: {NO_DIFFERENCE} on {listed(rest, 'or')}"
    tail = f"; {NO_DIFFERENCE} on {listed(rest, 'or')}" if rest else ""
    return f"{arm} scores {listed(parts)} than {baseline} {where}{tail}"


def _help(group: list[Compared], weights: str) -> str:
    """Says so where a trained arm is higher on no aspect."""
    method = weights.upper() if weights in ("dpo", "sft") else f"the {weights} model"
    return "" if any(shown(compared) > 0 for compared in group) else f"; no help from {method} is visible here"


def _amounts(differences: list[Difference], word: str) -> str:
    amounts: list[str] = []
    for difference in differences:
        low, high = sorted((abs(difference.low or 0), abs(difference.high or 0)))
        amount = f"{number(abs(difference.difference or 0))} ({number(low)} to {number(high)})"
        amounts.append(f"{amount}{'' if amounts else ' ' + word} on {difference.aspect}")
    return listed(amounts)


def _error_comparisons(rates: list[ErrorRate]) -> Iterator[str]:
    for detector, name in CRITICAL.items():
        every = [rate for rate in rates if rate.detector == detector]
        group, without = [rate for rate in every if rate.n], [rate.arm for rate in every if not rate.n]
        if group:
            doubt = f"; {listed(without)} had no response to look at" if without else ""
            yield _error_comparison(group, name, doubt)


def _error_comparison(group: list[ErrorRate], name: str, doubt: str) -> str:
    where = f"{name} in {language_name(group[0].language)}"
    named = listed([rate.arm for rate in group]) if doubt else ""  # "every arm" would be too much
    if not any(rate.found for rate in group):
        return f"No {where}, in {named or 'any arm'}{doubt}."
    ordered = sorted(group, key=lambda rate: rate.rate or 0)
    fewest, most = ordered[0], ordered[-1]
    if len(group) == 1:
        return f"{where[0].upper()}{where[1:]}: {_share(most)}{doubt}."
    if fewest.rate == most.rate:
        return f"Equally many {where} in {named or 'every arm'}: {_share(most)}{doubt}."
    overlap = "" if (fewest.high or 0) < (most.low or 0) else " Their intervals overlap."
    ties = [rate for rate in ordered if rate.rate == fewest.rate]
    best = _share(fewest) if len(ties) == 1 else f"{listed([rate.arm for rate in ties])} ({percent(fewest.rate)} each)"
    return f"Fewest {where}: {best}; most: {_share(most)}{doubt}.{overlap}"


def _share(rate: ErrorRate) -> str:
    return f"{rate.arm} ({rate.found} of {rate.n}, {percent(rate.rate)})"


def _warnings(request: AnalysisRequest, means: list[AspectMean], rates: list[ErrorRate]) -> Iterator[str]:
    if not any(mean.n for mean in means):
        yield "No response was scored, so there is no mean to compare."
    smallest = min([n for n in (*(mean.n for mean in means), *(rate.n for rate in rates)) if n], default=FEW)
    if smallest < FEW:
        items = "1 item" if smallest == 1 else f"{smallest} items"
        yield f"Small sample: some numbers rest on {items} only; trust intervals, not means."
    yield from _coverage(means)
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
