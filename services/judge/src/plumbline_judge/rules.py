"""A judge without a model: stated rules on the words of a response. It says nothing about quality."""

from statistics import fmean

import anyio.to_thread
from plumbline_contracts import judge as contract
from plumbline_contracts.common import Info
from plumbline_contracts.judge import UnscoredCause, Verdict
from plumbline_kit.errors import ProblemError

from . import __version__, language
from .measures import RUBRICS, Rule, Sample

RUBRIC_VERSION = "1.0.0"


class RulesJudge:
    async def judge(self, request: contract.JudgmentRequest) -> contract.JudgmentResponse:
        rules = _rules(request)
        judgments = await anyio.to_thread.run_sync(lambda: [_judgment(item, rules) for item in request.items])
        return contract.JudgmentResponse(
            judgments=judgments, rubric=str(request.rubric), rubric_version=RUBRIC_VERSION, compat=None
        )

    async def compare(self, request: contract.ComparisonRequest) -> contract.ComparisonResponse:
        """The order shown makes no difference to a rule, so no verdict is `inconsistent`."""
        rules = _rules(request)
        compared = await anyio.to_thread.run_sync(lambda: [_comparison(item, rules) for item in request.items])
        return contract.ComparisonResponse(
            comparisons=compared, order_effect=None, rubric=str(request.rubric), rubric_version=RUBRIC_VERSION
        )

    async def rubrics(self) -> contract.Rubrics:
        return contract.Rubrics(
            rubrics=[
                contract.Rubric(
                    name=name,
                    version=RUBRIC_VERSION,
                    aspects=[contract.Aspect(name=rule.name, description=rule.description) for rule in rules],
                    languages=["en"],
                    compat=None,
                )
                for name, rules in RUBRICS.items()
            ]
        )

    async def check(self) -> None:
        await anyio.to_thread.run_sync(language.load)

    def info(self) -> Info:
        return Info(
            contract=f"{contract.NAME}/{contract.VERSION}",
            implementation="rules",
            version=__version__,
            model=None,
            revision=None,
            description="Model-free rules (language, repetition, length, overlap with a reference, refusal wordings);"
            " says nothing about quality.",
        )


def _rules(request: contract.JudgmentRequest | contract.ComparisonRequest) -> tuple[Rule, ...]:
    """A rule has no wording that could be given in another language, so `rubric_language` changes nothing."""
    if isinstance(request.rubric, contract.RubricDefinition):
        detail = f"Rules judge on rules alone ({', '.join(RUBRICS)}); a rubric in words needs a judge model."
        raise ProblemError(422, "inline-rubric", detail)
    if request.rubric not in RUBRICS:
        there_is = ", ".join(RUBRICS)
        raise ProblemError(422, "unknown-rubric", f"There is no rubric {request.rubric!r} here; there is {there_is}.")
    return RUBRICS[request.rubric]


def _judgment(item: contract.JudgmentItem, rules: tuple[Rule, ...]) -> contract.Judgment:
    sample = Sample(item.response, item.language, item.reference)
    return contract.Judgment(id=item.id, scores=[rule.apply(sample) for rule in rules], raw_reply=None, repair=None)


def _comparison(item: contract.ComparisonItem, rules: tuple[Rule, ...]) -> contract.Comparison:
    """The higher mean of the scores that both responses have."""
    a = [rule.apply(Sample(item.response_a, item.language, item.reference)) for rule in rules]
    b = [rule.apply(Sample(item.response_b, item.language, item.reference)) for rule in rules]
    both = [
        (x.aspect, x.score, y.score) for x, y in zip(a, b, strict=True) if x.score is not None and y.score is not None
    ]
    if not both:
        nothing = contract.Unscored(cause=UnscoredCause.NOT_APPLICABLE, detail="no aspect is scored for both responses")
        return contract.Comparison(id=item.id, verdict=Verdict.UNSCORED, rationale=None, unscored=nothing, orders=[])
    mean_a, mean_b = fmean(x for _, x, _ in both), fmean(y for _, _, y in both)
    verdict = Verdict.TIE if mean_a == mean_b else Verdict.A if mean_a > mean_b else Verdict.B
    rationale = f"mean of {', '.join(aspect for aspect, *_ in both)}: a {mean_a:.2f}, b {mean_b:.2f}"
    return contract.Comparison(id=item.id, verdict=verdict, rationale=rationale, unscored=None, orders=[])
