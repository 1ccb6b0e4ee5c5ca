"""Sentences that the tests support: who scores higher, who errs less, and what the evidence cannot show."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from plumbline_contracts.analyzer import (
    AnalysisRequest,
    AspectMean,
    Conclusion,
    Detector,
    Difference,
    ErrorDifference,
    ErrorRate,
    Interaction,
    JudgeRole,
    PairedDifference,
)

from .results import Numbers
from .wording import CRITICAL, language_name, listed, number, percent, plain

FEW = 30
MODEL_FREE = "Scores come from stated rules, not from a judgment of quality."
NO_DIFFERENCE = "no difference that this sample can show"
_SURE = 0.95


class Result(NamedTuple):
    """A sentence that stands by itself. `language` is null over all of them, `judge` where it is about errors."""

    language: str | None
    judge: str | None
    sentence: str


def results(request: AnalysisRequest, numbers: Numbers) -> list[Result]:
    """Language by language, scores first; then over all languages."""
    languages = [*request.languages, *([None] if len(request.languages) > 1 else [])]
    return [result for language in languages for result in _results(request, numbers, language)]


def _results(request: AnalysisRequest, numbers: Numbers, language: str | None) -> Iterator[Result]:
    judges = [judge for judge in request.judges if judge.role != JudgeRole.SHADOW]
    for judge in judges:
        mine = [one for one in numbers.differences if (one.language, one.judge) == (language, judge.name)]
        by = f" (judge {judge.name})" if len(judges) > 1 else ""
        means = [one for one in numbers.means if (one.language, one.judge) == (language, judge.name)]
        turned = [one for one in numbers.interactions if (one.language, one.judge) == (language, judge.name)]
        for sentence in (*_comparisons(request, mine), *_leaders(means), *_interactions(turned)):
            yield Result(language, judge.name, f"{sentence}{by}.")
    rates = [rate for rate in numbers.error_rates if rate.language == language]
    errors = [one for one in numbers.error_differences if one.language == language]
    turned = [one for one in numbers.interactions if (one.language, one.judge) == (language, None)]
    for sentence in (*_error_rates(rates), *_error_comparisons(errors), *_interactions(turned)):
        yield Result(language, None, f"{sentence}.")


def shown(one: PairedDifference | Interaction) -> bool:
    return one.conclusion in (Conclusion.HIGHER, Conclusion.LOWER)


def where(language: str | None) -> str:
    return f"in {language_name(language)}" if language else "over all languages"


def _comparisons(request: AnalysisRequest, differences: list[Difference]) -> Iterator[str]:
    arms = {arm.name: arm for arm in request.arms}
    for arm in request.arms:
        mine = [one for one in differences if one.arm == arm.name]
        group = [one for one in mine if one.conclusion != Conclusion.REFUSED]
        if group:
            baseline = arms[group[0].baseline]
            refused = [plain(one.aspect) for one in mine if one.conclusion == Conclusion.REFUSED]
            unequal = f"; not compared on {listed(refused)}, where coverage differs" if refused else ""
            # Only an arm with the baseline's model and prompting says what its training alone is worth.
            same = (arm.model, arm.prompting) == (baseline.model, baseline.prompting)
            trained = same and arm.weights != baseline.weights
            yield _comparison(group) + (_help(group, arm.weights) if trained else "") + unequal


def _comparison(group: list[Difference]) -> str:
    first = group[0]
    higher, lower = (
        [one for one in group if one.conclusion == which] for which in (Conclusion.HIGHER, Conclusion.LOWER)
    )
    parts = [_amounts(some, word) for some, word in ((higher, "higher"), (lower, "lower")) if some]
    rest = [plain(one.aspect) for one in group if not shown(one)]
    if not parts:
        against = f"{first.arm} against {first.baseline} {where(first.language)}"
        return f"{against}: {NO_DIFFERENCE} on {listed(rest, 'or')}"
    tail = f"; {NO_DIFFERENCE} on {listed(rest, 'or')}" if rest else ""
    return f"{first.arm} scores {listed(parts)} than {first.baseline} {where(first.language)}{tail}"


def _help(group: list[Difference], weights: str) -> str:
    """Says so where a trained arm is higher on no aspect."""
    method = weights.upper() if weights in ("dpo", "sft") else f"the {weights} model"
    helps = any(one.conclusion == Conclusion.HIGHER for one in group)
    return "" if helps else f"; no help from {method} is visible here"


def _amounts(differences: Sequence[Difference], word: str) -> str:
    amounts: list[str] = []
    for one in differences:
        low, high = sorted((abs(one.low or 0), abs(one.high or 0)))
        amount = f"{number(abs(one.difference or 0))} ({number(low)} to {number(high)})"
        amounts.append(f"{amount}{'' if amounts else ' ' + word} on {plain(one.aspect)}")
    return listed(amounts)


def _leaders(means: list[AspectMean]) -> Iterator[str]:
    """Which arm is best, and how sure: in how many resamples of the items it has the highest mean."""
    sure: dict[str, list[str]] = defaultdict(list)
    open_: list[str] = []
    for aspect, group in groupby(means, key=lambda mean: mean.aspect):
        best = max(group, key=lambda mean: (mean.leads or 0, mean.mean or 0))
        if best.leads is None:
            continue
        if best.leads >= _SURE:
            sure[best.arm].append(f"{plain(aspect)} ({number(best.mean)}; {percent(best.leads)} of resamples)")
        else:
            open_.append(f"{plain(aspect)} ({best.arm} leads in {percent(best.leads)} of resamples)")
    for arm, aspects in sure.items():
        yield f"Highest {where(means[0].language)}: {arm} on {listed(aspects)}"
    if open_:
        yield f"Which arm is best {where(means[0].language)} stays open on {listed(open_)}"


def _interactions(turned: list[Interaction]) -> Iterator[str]:
    for one in turned:
        if shown(one):
            yield (_gain if one.judge else _change)(one, one.conclusion == Conclusion.LOWER)


def _gain(one: Interaction, is_lower: bool) -> str:
    low, high = sorted((abs(one.low or 0), abs(one.high or 0)))
    amount = f"{number(abs(one.difference or 0))} ({number(low)} to {number(high)}) {'less' if is_lower else 'more'}"
    places = f"{where(one.language)} than {where(one.reference)}"
    return f"Against {one.baseline}, {one.arm} gains {amount} {places} on {plain(one.measure)}"


def _change(one: Interaction, is_lower: bool) -> str:
    """Of a rate, of which more is no gain."""
    low, middle, high = (round(100 * abs(value or 0)) for value in (one.low, one.difference, one.high))
    amount = f"{middle} percentage points ({min(low, high)} to {max(low, high)}) {'lower' if is_lower else 'higher'}"
    what = CRITICAL.get(Detector(one.measure), plain(one.measure))
    rates = f"The rate of {what} of {one.arm} less that of {one.baseline}"
    return f"{rates} is {amount} {where(one.language)} than {where(one.reference)}"


def _error_rates(rates: list[ErrorRate]) -> Iterator[str]:
    for detector, name in CRITICAL.items():
        every = [rate for rate in rates if rate.detector == detector]
        group, without = [rate for rate in every if rate.n], [rate.arm for rate in every if not rate.n]
        if group:
            doubt = f"; {listed(without)} had no response to look at" if without else ""
            yield _error_rate(group, name, doubt)


def _error_rate(group: list[ErrorRate], name: str, doubt: str) -> str:
    what = f"{name} {where(group[0].language)}"
    named = listed([rate.arm for rate in group]) if doubt else ""  # "every arm" would be too much
    if not any(rate.found for rate in group):
        return f"No {what}, in {named or 'any arm'}{doubt}"
    ordered = sorted(group, key=lambda rate: rate.rate or 0)
    fewest, most = ordered[0], ordered[-1]
    if len(group) == 1:
        return f"{what[0].upper()}{what[1:]}: {_share(most)}{doubt}"
    if fewest.rate == most.rate:
        return f"Equally many {what} in {named or 'every arm'}: {_share(most)}{doubt}"
    ties = [rate for rate in ordered if rate.rate == fewest.rate]
    best = _share(fewest) if len(ties) == 1 else f"{listed([rate.arm for rate in ties])} ({percent(fewest.rate)} each)"
    overlap = "" if (fewest.high or 0) < (most.low or 0) else ". Their intervals overlap"
    return f"Fewest {what}: {best}; most: {_share(most)}{doubt}{overlap}"


def _share(rate: ErrorRate) -> str:
    return f"{rate.arm} ({rate.found} of {rate.n}, {percent(rate.rate)})"


def _error_comparisons(errors: list[ErrorDifference]) -> Iterator[str]:
    for detector, name in CRITICAL.items():
        mine = [one for one in errors if one.detector == detector and one.conclusion != Conclusion.REFUSED]
        for more, word in ((Conclusion.HIGHER, "more"), (Conclusion.LOWER, "fewer")):
            arms = [f"{one.arm} than {one.baseline} ({_points(one)})" for one in mine if one.conclusion == more]
            if arms:
                yield f"Shown by paired test {where(mine[0].language)}: {word} {name} from {listed(arms)}"


def _points(one: ErrorDifference) -> str:
    low, high = sorted((abs(one.low or 0), abs(one.high or 0)))
    return f"{percent(abs(one.difference or 0))} of items, {percent(low)} to {percent(high)}"
