"""What a run of an experiment file would do, cost and could find, from its check and from earlier experiments."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from math import ceil

from plumbline_contracts import analyzer
from plumbline_contracts.common import Info
from plumbline_contracts.coordinator import PhaseName, Submission
from plumbline_contracts.experiment import Arm, JudgeChoice, Limits
from plumbline_contracts.planning import Plan, PlannedComparison, PlannedPhase, PlannedTokens
from plumbline_kit.errors import ProblemError

from . import judges
from .budget import COUNTED
from .check import Checked, check
from .foreseeing import Known, cached
from .history import History, Services, Spread, prompt_characters
from .preparation import identified, services_of
from .settings import Settings
from .store import Store

_ASK_S, _COUNT_S = 5.0, 30.0
_NOT_MEASURED = "no measurement yet"
Cached = dict[PhaseName, Known | None]


async def plan(submission: Submission, store: Store, settings: Settings) -> Plan:
    """The problem `invalid-spec` as `check` has it. A service that is away makes a note, not a failure."""
    checked, notes = await check(submission, store, settings, to_run=False), list[str]()
    services = await _services(checked, notes)
    history = await asyncio.to_thread(History, store, settings)
    known = await _cached(checked, notes)
    phases = await asyncio.to_thread(_phases, checked, settings, history, services, known)
    unknown = any(one.seconds is None for one in phases)
    planned = Plan(
        check=checked.check,
        phases=phases,
        seconds=None if unknown else sum(one.seconds or 0.0 for one in phases),
        tokens=await asyncio.to_thread(lambda: [_tokens(checked, arm, history) for arm in checked.spec.arms]),
        comparisons=await _comparisons(checked, history, services, notes),
        notes=notes,
    )
    planned.notes.extend(too_low(checked.spec.limits, planned))
    return planned


def too_low(limits: Limits, planned: Plan) -> Iterator[str]:
    """What to know of limits that a run reaches before its end, as far as that can be told."""
    calls = sum(one.calls for one in planned.phases if one.phase in COUNTED)
    hours = None if planned.seconds is None else planned.seconds / 3600
    for name, needed in (("calls", calls), ("tokens", _new_tokens(planned)), ("hours", hours)):
        most = getattr(limits, name)
        if most is not None and needed is not None and needed > most:
            yield f"It will pause at its limit of {most:,g} {name}, as it needs about {needed:,.6g}."


def _new_tokens(planned: Plan) -> float | None:
    """Of the responses that are not cached, taken as the average one."""
    generated = [one for one in planned.phases if one.phase == PhaseName.GENERATE]
    asked = sum(one.items - (one.cached or 0) for one in generated) / (sum(one.items for one in generated) or 1)
    if any(one.prompt_tokens is None or one.completion_tokens is None for one in planned.tokens):
        return None
    return asked * sum((one.prompt_tokens or 0) + (one.completion_tokens or 0) for one in planned.tokens)


async def _cached(checked: Checked, notes: list[str]) -> Cached:
    if checked.recorded is not None:
        notes.append("How much is cached is not counted where recorded responses are judged or analyzed anew.")
        return {}
    try:
        async with asyncio.timeout(_COUNT_S):
            return await cached(checked)
    except TimeoutError:
        notes.append(f"How much is cached could not be counted within {_COUNT_S:g} s.")
        return {}


async def _services(checked: Checked, notes: list[str]) -> Services:
    """Who would do it, as far as they answer now."""

    async def ask(name: str) -> Info | None:
        try:
            async with asyncio.timeout(_ASK_S), checked.draft.client(name) as client:
                return await identified(client, name)
        except (ProblemError, TimeoutError) as error:
            notes.append(f"{name} did not say who it is, so its time is not known: {error or 'no answer'}")
            return None

    names = services_of(checked.draft)
    found = await asyncio.gather(*map(ask, names))
    return {name: info.model_dump() for name, info in zip(names, found, strict=True) if info is not None}


def _phases(
    checked: Checked, settings: Settings, history: History, services: Services, known: Cached
) -> list[PlannedPhase]:
    spec, did = checked.spec, checked.check
    per_language = [did.items[language] for language in spec.languages]
    foreign = Counter[str]()
    for (language, _, translate), count in checked.counted.items():
        foreign[language] += translate * count
    categories = _categories(checked)
    judged = [
        categories[language, category] for one in spec.judges for category in one.rubrics for language in spec.languages
    ]
    arms, size = len(spec.arms), settings.batch_size

    def calls(sizes: Iterable[int]) -> int:
        return sum(ceil(one / size) for one in sizes)

    planned = {
        PhaseName.TRANSLATE: (did.translations, calls(foreign.values())),
        PhaseName.TRAIN: (did.trainings, did.trainings),
        PhaseName.GENERATE: (did.generations, arms * calls(per_language)),
        PhaseName.DETECT: (did.generations, arms * calls(per_language)),
        PhaseName.JUDGE: (did.judgments, arms * calls(judged)),
        PhaseName.ANALYZE: (did.generations, 1),
    }
    return [
        _phase(checked, history, services, name, *work, known.get(name)) for name, work in planned.items() if work[0]
    ]


def _phase(
    checked: Checked,
    history: History,
    services: Services,
    name: PhaseName,
    items: int,
    calls: int,
    known: Known | None,
) -> PlannedPhase:
    rate, seconds, basis = history.rate(name, checked.spec, services), None, _NOT_MEASURED
    lacking = items if known is None else items - known.items
    if rate is not None:
        seconds = lacking * rate.seconds / rate.items
        basis = (
            f"{_rounded(rate.items / rate.seconds)} items/s in {rate.experiments} experiment(s) with the same services"
        )
    return PlannedPhase(
        phase=name,
        items=items,
        cached=known and known.items,
        calls=calls if known is None else known.calls,
        seconds=seconds,
        basis=basis,
    )


def _rounded(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def _tokens(checked: Checked, arm: Arm, history: History) -> PlannedTokens:
    items, most = checked.counted.total(), checked.spec.decoding.max_new_tokens
    known = history.lengths(checked.spec, arm)
    prompt, completion, basis = None, None, _NOT_MEASURED
    if known is not None:
        # What is still to be translated counts as long as its source.
        characters = sum(prompt_characters(checked.draft, arm, one.language, one.source) for one in checked.items or [])
        prompt = round(characters / known.characters_per_token)
        stops = checked.spec.decoding.stop_loops is not None
        length = known.completion + (0 if stops else known.saved)
        completion = round(items * min(length, most))
        basis = (
            f"{known.characters_per_token:.2f} characters per token and {length:.1f} tokens per response"
            f" in {known.responses} responses of {known.experiment}, by the generator's counts"
        )
        if stops and not known.stops_loops:
            basis += "; loops were let run there, so it may be less"
    return PlannedTokens(
        arm=arm.name,
        generations=items,
        prompt_tokens=prompt,
        completion_tokens=completion,
        completion_tokens_at_most=items * most,
        basis=basis,
    )


def _categories(checked: Checked) -> Counter[tuple[str, str]]:
    found = Counter[tuple[str, str]]()
    for (language, category, _), count in checked.counted.items():
        found[language, category] += count
    return found


async def _comparisons(
    checked: Checked, history: History, services: Services, notes: list[str]
) -> list[PlannedComparison]:
    if len(checked.spec.arms) < 2:
        notes.append("With one arm there is nothing to compare.")
        return []
    found = []
    for choice in checked.spec.judges:
        try:
            async with asyncio.timeout(_ASK_S):
                found += await _of_judge(checked, choice, history, services)
        except (ProblemError, TimeoutError) as error:
            notes.append(f"What judge {choice.name} could show is not known: {error or 'no answer'}")
    return found


async def _of_judge(
    checked: Checked, choice: JudgeChoice, history: History, services: Services
) -> list[PlannedComparison]:
    """One per category, as its items are what a mean is made of; the correction covers all that the judge scores."""
    spec, categories = checked.spec, _categories(checked)
    async with checked.draft.client(f"judge:{choice.name}") as client:
        have = await judges.rubrics(client)
    aspects = {aspect.name for rubric in choice.rubrics.values() for aspect in have[rubric].aspects}
    languages = len(spec.languages) + (len(spec.languages) > 1)  # and all of them together
    family, found = len(aspects) * languages * (len(spec.arms) - 1), []
    for category, rubric in choice.rubrics.items():
        items = min(categories[language, category] for language in spec.languages)
        if items < 2:
            continue
        spread = await asyncio.to_thread(history.spread, choice.name, rubric, services)
        request = analyzer.DetectableEffectRequest(items=items, comparisons=family, confidence=spec.analysis.confidence)
        measured = dict[str, float]()
        if spread is not None:
            parts = {"standard_deviation": spread.standard_deviation, "discordant": spread.discordant}
            measured = {name: value for name, value in parts.items() if value}
        request = request.model_copy(update=measured)
        async with checked.draft.client("analyzer") as client:
            effect = await client.call("POST", "/v1/detectable-effects", analyzer.DetectableEffect, request)
        found.append(
            PlannedComparison(
                judge=choice.name,
                category=category,
                items=items,
                comparisons=family,
                **effect.model_dump(exclude={"assumptions"}),
                assumptions=[*effect.assumptions, _origin(spread, measured)],
            )
        )
    return found


def _origin(spread: Spread | None, measured: dict[str, float]) -> str:
    if spread is None:
        return "Nothing is measured yet: both are assumptions."
    if not measured:
        return f"In {spread.experiment} the arms did not differ, so both are assumptions."
    names = {"standard_deviation": "the standard deviation", "discordant": "the share of items"}
    return f"Measured in {spread.experiment}: {' and '.join(names[name] for name in measured)}."
