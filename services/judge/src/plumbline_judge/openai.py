"""A judge model behind an OpenAI-compatible chat endpoint, asked on a rubric for JSON."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from plumbline_contracts import judge as contract
from plumbline_contracts.common import Info
from plumbline_contracts.judge import Verdict
from plumbline_kit.errors import ProblemError

from . import __version__, parse
from . import rubrics as files
from .completions import Batch, ChatCompletions, Reply
from .settings import Settings
from .verdicts import unscored

Item = TypeVar("Item")
Answer = TypeVar("Answer")
_SWAPPED = {Verdict.A: Verdict.B, Verdict.B: Verdict.A, Verdict.TIE: Verdict.TIE}


class OpenAIJudge:
    def __init__(self, settings: Settings) -> None:
        self._model = ChatCompletions(settings)
        self._rubrics = files.load()

    async def close(self) -> None:
        await self._model.close()

    async def judge(self, request: contract.JudgmentRequest) -> contract.JudgmentResponse:
        rubric, batch = self._rubric(request.rubric), Batch()
        judgments = await _all(request.items, lambda item: self._judge(rubric, item, batch))
        batch.raise_outage()
        return contract.JudgmentResponse(judgments=judgments, rubric=rubric.name, rubric_version=rubric.identity)

    async def compare(self, request: contract.ComparisonRequest) -> contract.ComparisonResponse:
        rubric, batch = self._rubric(request.rubric), Batch()
        comparisons = await _all(request.items, lambda item: self._compare(rubric, item, batch))
        batch.raise_outage()
        return contract.ComparisonResponse(comparisons=comparisons, rubric=rubric.name, rubric_version=rubric.identity)

    async def rubrics(self) -> contract.Rubrics:
        return contract.Rubrics(rubrics=[rubric.described() for rubric in self._rubrics.values()])

    async def check(self) -> None:
        await self._model.check()

    def info(self) -> Info:
        model, temperature = self._model.model, self._model.settings.temperature
        return Info(
            contract=f"{contract.NAME}/{contract.VERSION}",
            implementation="openai",
            version=__version__,
            model=model,
            revision=None,
            description=f"The model {model} as judge on a rubric, at temperature {temperature:g}.",
        )

    def _rubric(self, name: str) -> files.Rubric:
        if name not in self._rubrics:
            there_is = ", ".join(self._rubrics)
            raise ProblemError(422, "unknown-rubric", f"There is no rubric {name!r} here; there is {there_is}.")
        return self._rubrics[name]

    async def _judge(self, rubric: files.Rubric, item: contract.JudgmentItem, batch: Batch) -> contract.Judgment:
        reply = await self._model.ask(rubric.ask(item), rubric.judgment_schema(), batch)
        if reply.fault is None:
            scores = parse.scores(reply.text or "", list(rubric.aspects))
        else:
            scores = [unscored(aspect, reply.fault.cause, reply.fault.detail) for aspect in rubric.aspects]
        return contract.Judgment(id=item.id, scores=scores, raw_reply=reply.text)

    async def _compare(self, rubric: files.Rubric, item: contract.ComparisonItem, batch: Batch) -> contract.Comparison:
        """Both orders are asked. A verdict that changes with the order is `inconsistent`, never a tie."""
        schema = rubric.comparison_schema()
        a_first = await self._model.ask(rubric.ask_both(item, item.response_a, item.response_b), schema, batch)
        b_first = await self._model.ask(rubric.ask_both(item, item.response_b, item.response_a), schema, batch)
        try:
            verdict, why = _preference(a_first)
            with_b_first, why_with_b_first = _preference(b_first)
        except parse.Unusable as error:
            return contract.Comparison(id=item.id, verdict=Verdict.UNSCORED, rationale=None, unscored=error.unscored)
        return contract.Comparison(
            id=item.id,
            verdict=verdict if verdict == _SWAPPED[with_b_first] else Verdict.INCONSISTENT,
            rationale=f"a shown first: {why or '-'}\nb shown first: {why_with_b_first or '-'}",
            unscored=None,
        )


def _preference(reply: Reply) -> tuple[Verdict, str | None]:
    if reply.fault is not None:
        raise parse.Unusable(reply.fault.cause, reply.fault.detail)
    return parse.preference(reply.text or "")


async def _all(items: Sequence[Item], work: Callable[[Item], Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """Work on all items at once, and keep their order."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(item)) for item in items]
    return [task.result() for task in tasks]
