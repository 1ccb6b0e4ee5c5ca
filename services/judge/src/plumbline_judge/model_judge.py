"""A judge model, asked on a rubric for JSON, whatever server runs it."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Literal, TypeVar

from plumbline_contracts import judge as contract
from plumbline_contracts.common import Info
from plumbline_contracts.judge import AspectScore, UnscoredCause

from . import __version__, comparing, parse
from .backend import Asker, Backend, Batch, Reply
from .comparing import Read
from .dialogue import Dialogue, Talk
from .rubric import Rubric
from .rubrics import Rubrics
from .settings import Settings
from .verdicts import counted, unscored

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class ModelJudge:
    def __init__(self, backend: Backend, rubrics: Rubrics, settings: Settings) -> None:
        self._backend, self._rubrics, self._settings = backend, rubrics, settings
        asker = Asker(backend, settings.concurrency, share=settings.temperature == 0)
        self._dialogue = Dialogue(asker, settings.repair)

    async def judge(self, request: contract.JudgmentRequest) -> contract.JudgmentResponse:
        rubric, batch = self._rubric(request), Batch()
        judgments = await _all(request.items, lambda item: self._judge(rubric, item, batch))
        batch.raise_outage()
        return contract.JudgmentResponse(
            judgments=judgments,
            rubric=rubric.name,
            rubric_version=rubric.identity,
            compat=rubric.definition.compat,
        )

    async def compare(self, request: contract.ComparisonRequest) -> contract.ComparisonResponse:
        rubric, batch = self._rubric(request), Batch()
        orders: list[Literal["a", "b"]] = ["a", "b"] if request.both_orders else ["a"]
        comparisons = await _all(request.items, lambda item: self._compare(rubric, item, orders, batch))
        batch.raise_outage()
        return contract.ComparisonResponse(
            comparisons=comparisons,
            order_effect=comparing.order_effect(comparisons) if request.both_orders else None,
            rubric=rubric.name,
            rubric_version=rubric.identity,
        )

    async def rubrics(self) -> contract.Rubrics:
        return contract.Rubrics(rubrics=[rubric.described() for rubric in self._rubrics.by_name.values()])

    async def check(self) -> None:
        await self._backend.check()

    def info(self) -> Info:
        model, temperature = self._settings.model, self._settings.temperature
        return Info(
            contract=f"{contract.NAME}/{contract.VERSION}",
            implementation=self._settings.implementation,
            version=__version__,
            model=model,
            revision=None,
            description=f"The model {model} as judge on a rubric, at temperature {temperature:g}.",
        )

    def _rubric(self, request: contract.JudgmentRequest | contract.ComparisonRequest) -> Rubric:
        languages = {item.language for item in request.items}
        return self._rubrics.choose(request.rubric, request.rubric_language, languages)

    async def _judge(self, rubric: Rubric, item: contract.JudgmentItem, batch: Batch) -> contract.Judgment:
        material = "\n".join([item.instruction, item.response, item.reference or ""])
        read = partial(_scores, aspects=rubric.aspects, material=material)
        told = rubric.told_in(item.language)
        talk = await self._dialogue.ask(rubric.ask(item), rubric.judgment_schema, batch, told, read, _without_score)
        scores = [counted(one, rubric.definition.compat) for one in _mended(talk)]
        return contract.Judgment(id=item.id, scores=scores, raw_reply=talk.reply.text, repair=talk.repair)

    async def _compare(
        self, rubric: Rubric, item: contract.ComparisonItem, orders: Sequence[Literal["a", "b"]], batch: Batch
    ) -> contract.Comparison:
        return comparing.together(item.id, await _all(orders, lambda first: self._in_order(rubric, item, first, batch)))

    async def _in_order(
        self, rubric: Rubric, item: contract.ComparisonItem, first: Literal["a", "b"], batch: Batch
    ) -> contract.OrderVerdict:
        shown = [item.response_a, item.response_b] if first == "a" else [item.response_b, item.response_a]
        read = partial(comparing.read, material="\n".join([item.instruction, *shown, item.reference or ""]))
        messages, told = rubric.ask_both(item, *shown), rubric.told_in(item.language)
        talk = await self._dialogue.ask(messages, rubric.comparison_schema, batch, told, read, _without_verdict)
        return comparing.in_order(first, talk)


def _scores(reply: Reply, aspects: Sequence[str], material: str) -> list[AspectScore]:
    if reply.fault is not None:
        return [unscored(aspect, reply.fault.cause, reply.fault.detail) for aspect in aspects]
    return parse.scores(reply.text or "", aspects, material, reply.tokens)


def _without_score(scores: Sequence[AspectScore]) -> Mapping[str, UnscoredCause]:
    return {one.aspect: one.unscored.cause for one in scores if one.unscored is not None}


def _without_verdict(read: Read) -> Mapping[str, UnscoredCause]:
    return {"verdict": read.unscored.cause} if isinstance(read, parse.Unusable) else {}


def _mended(talk: Talk[list[AspectScore]]) -> list[AspectScore]:
    """An aspect that the first reply scored keeps its score: a repair is not a second opinion."""
    if talk.second is None:
        return talk.first
    mendable = [one.score is None and not _is_an_answer(one) for one in talk.first]
    return [b if mend else a for a, b, mend in zip(talk.first, talk.second, mendable, strict=True)]


def _is_an_answer(one: AspectScore) -> bool:
    return one.unscored is not None and one.unscored.cause == UnscoredCause.NOT_APPLICABLE


async def _all(items: Sequence[Item], work: Callable[[Item], Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """Work on all items at once, and keep their order."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(item)) for item in items]
    return [task.result() for task in tasks]
