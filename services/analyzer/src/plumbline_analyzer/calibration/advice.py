"""What a judge may be used for, in words. Each sentence has the number that it rests on."""

from collections.abc import Iterator, Sequence

from plumbline_contracts.calibrating import LanguageCalibration, LanguageSwap, SwapConsistency
from plumbline_contracts.results import Estimate

# Ours, after Landis & Koch 1977: below 0.4 at best fair, from 0.6 substantial, by the lower end of the interval.
FAIR, SUBSTANTIAL = 0.4, 0.6
STABLE, CONSISTENT = 0.9, 0.8
RIGHT = 0.657  # how often a single person agrees with the others on pairs (AlpacaEval's README)
MISSING = 0.05
FEW = 100

Advice = tuple[list[str], list[str]]


def of(
    languages: Sequence[LanguageCalibration],
    swaps: Sequence[SwapConsistency],
    across: Sequence[LanguageSwap],
    rubric: str | None,
) -> Advice:
    """(may, may not). Without a `rubric` every item was judged on a criterion of its own."""
    may, may_not = list[str](), list[str]()
    for one in (one for one in languages if one.language != "all"):
        for allowed, sentence in _language(one, rubric):
            (may if allowed else may_not).append(sentence)
    if rubric is None:
        may_not.append("Correct an experiment's means: each item here had a criterion of its own.")
    for swap in (swap for swap in swaps if swap.n):
        allowed = (swap.consistent.low or 0) >= CONSISTENT and (swap.right.low or 0) >= RIGHT
        told = (
            f"its verdict is the same in both orders in {_share(swap.consistent)} of {swap.n} pairs, and then gold's in"
            f" {_share(swap.right)}"
        )
        (may if allowed else may_not).append(f"Compare two responses in {swap.language}: {told}.")
    for pair in (pair for pair in across if pair.n):
        differs = _excludes_zero(pair.difference)
        told = f"the same {pair.n} items score {_signed(pair.difference)} in {pair.second}"
        (may_not if differs else may).append(f"Compare scores in {pair.first} with scores in {pair.second}: {told}.")
    return may, may_not


def _language(one: LanguageCalibration, rubric: str | None) -> Iterator[tuple[bool, str]]:
    where, low = one.language, one.kappa.low
    if low is None:
        yield False, f"Anything in {where}: of its {one.n} scores no agreement can be estimated."
        return
    told = f"its weighted kappa with gold is {_value(one.kappa)} on {one.n} items"
    if low < FAIR:
        yield (
            False,
            f"Rank arms in {where}, or say how good a response is: {told}, at its lower end no more than fair.",
        )
    else:
        corrected = f"Compare mean scores of arms in {where}, corrected by this calibration"
        yield True, f"{corrected if rubric else f'Score responses in {where} on a criterion for each'}: {told}."
        yield low >= SUBSTANTIAL, f"Judge single responses in {where}: {told}."
    if _excludes_zero(one.bias):
        yield False, f"Report uncorrected means in {where} as quality: its scores are {_signed(one.bias)} off gold."
    if one.padding.value is not None and _excludes_zero(one.padding):
        yield (
            False,
            f"Compare responses of different length in {where}: padding alone adds {_signed(one.padding)}.",
        )
    if one.stability.value is not None:
        stable = (one.stability.low or 0) >= STABLE
        yield stable, f"Be asked once per item in {where}: {_share(one.stability)} of repeated scores are the same."
    if (absent := sum(one.missing.values())) > MISSING * (one.n + absent):
        yield False, f"Be taken for complete in {where}: it left {absent} of {one.n + absent} items unscored."
    if one.n < FEW:
        yield False, f"Be decided on by these {one.n} items in {where} alone: use at least {FEW}."


def _excludes_zero(estimate: Estimate) -> bool:
    return estimate.low is not None and estimate.high is not None and not estimate.low <= 0 <= estimate.high


def told(one: Estimate, form: str, unknown: str = "unknown") -> str:
    """Value and interval; of a single observation there is a value without one."""
    if one.value is None:
        return unknown
    value = f"{one.value:{form}}"
    return value if one.low is None or one.high is None else f"{value} [{one.low:{form}}, {one.high:{form}}]"


def _value(one: Estimate) -> str:
    return told(one, ".2f")


def _signed(one: Estimate) -> str:
    return told(one, "+.2f")


def _share(one: Estimate) -> str:
    return told(one, ".0%", "an unknown share")
