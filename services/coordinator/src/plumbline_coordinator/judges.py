"""Whether a judge answers its contract: rubrics, a test item, every answer; and whether it is still the same one."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from plumbline_contracts.common import Info, Response
from plumbline_contracts.judge import Judgment, JudgmentItem, JudgmentRequest, Rubric, Rubrics, UnscoredCause
from plumbline_kit.client import ServiceClient, is_transient
from plumbline_kit.errors import ProblemError
from pydantic import ValidationError

from .rows import Outcome

_APART_S = 0.05
_TEST_ITEM = JudgmentItem(
    id="test",
    instruction="Name three animals.",
    response="The dog, the cat and the cow.",
    language="en",
    reference="A dog, a cat and a horse.",
)


class Answer(Response):
    """A JudgmentResponse of which every judgment is still to be validated, so that a wrong one costs no other."""

    judgments: list[Any]
    rubric: str
    rubric_version: str


async def rubrics(client: ServiceClient) -> dict[str, Rubric]:
    """Every rubric by its name; the problem `contract-broken` when no record could be made of them."""
    found = (await client.call("GET", "/v1/rubrics", Rubrics)).rubrics
    have = {rubric.name: rubric for rubric in found}
    if not have or len(have) < len(found):
        raise _broken(client, "/v1/rubrics", "it must list at least one rubric, and every one once.")
    for name, rubric in have.items():
        aspects = [aspect.name for aspect in rubric.aspects]
        if not aspects or len(set(aspects)) < len(aspects):
            raise _broken(client, "/v1/rubrics", f"the rubric {name!r} must have aspects, and every one once.")
    return have


async def ask(client: ServiceClient, request: JudgmentRequest, aspects: Sequence[str]) -> list[Outcome]:
    """One outcome for every item: its judgment, or what is wrong with the one given."""
    answer = await client.call("POST", "/v1/judgments", Answer, request)
    if answer.rubric != request.rubric:
        raise _broken(client, "/v1/judgments", f"asked on {request.rubric!r}, it judged on {answer.rubric!r}.")
    version = {"rubric": answer.rubric, "rubric_version": answer.rubric_version}
    return [_outcome(item.id, answer.judgments, aspects, version) for item in request.items]


async def probe(client: ServiceClient, rubric: str, aspects: Sequence[str]) -> None:
    """Judge one item that asks little, before hours of work that this judge could not judge.

    Raises `contract-broken`, or what the judge's model says: away (to be waited for) or refusing everybody's calls.
    """
    outcome = (await ask(client, JudgmentRequest(rubric=rubric, items=[_TEST_ITEM]), aspects))[0]
    if outcome.body is None:
        raise _broken(client, "/v1/judgments", f"on {rubric!r}: {outcome.cause}.")
    causes = {score["unscored"]["cause"] if score["unscored"] else None for score in outcome.body["scores"]}
    detail = f"{client.url} cannot judge a test item on {rubric!r}: {outcome.cause}."
    if causes == {UnscoredCause.BACKEND_UNAVAILABLE}:
        raise ProblemError(503, "backend-unavailable", detail, retry_after=5)
    if causes == {UnscoredCause.BACKEND_REFUSED}:
        raise ProblemError(422, "backend-refused", detail)


class Witness:
    """Asks `still` once for all who wait for the same word."""

    def __init__(self, client: ServiceClient, recorded: Info) -> None:
        self.client, self.recorded = client, recorded
        self._asking = asyncio.Lock()
        self._begun = 0.0

    async def still(self) -> None:
        """What counts is the answer to a question that was asked after this was called."""
        called = time.monotonic()
        async with self._asking:
            if self._begun < called:
                await asyncio.sleep(self._begun + _APART_S - time.monotonic())  # so that many wait for one
                begun = time.monotonic()
                await still(self.client, self.recorded)
                self._begun = begun


async def still(client: ServiceClient, recorded: Info) -> None:
    """Scores of two judges are never mixed: the problem `another-judge`, which is waited for, when it was replaced."""
    try:
        found = await client.call("GET", "/info", Info)
    except ProblemError as error:
        if not never_passes(error) or error.status in (401, 403):  # a wrong token is told as what it is
            raise
        # Judging goes on for hours: a wrong address or service is as often put right as a judge comes back.
        raise _another(f"{client.url} answers, but not as the judge ({error.detail.rstrip('.')})", recorded) from error
    if _who(found) != _who(recorded):
        raise _another(f"{client.url} is {_who(found)}", recorded)


def never_passes(error: ProblemError) -> bool:
    """It answers, but not as a judge; waiting would change nothing."""
    return error.kind == "contract-broken" or (error.status < 500 and not is_transient(error))


def _broken(client: ServiceClient, path: str, what: str) -> ProblemError:
    return ProblemError(500, "contract-broken", f"{client.url}{path} answered against its contract: {what}")


def _another(now: str, recorded: Info) -> ProblemError:
    detail = f"{now}, and this experiment is judged by {_who(recorded)}. Start that one again, or cancel."
    return ProblemError(503, "another-judge", detail, retry_after=5)


def _who(info: Info) -> str:
    model = "no model" if info.model is None else info.model
    return f"{info.implementation} ({model if info.revision is None else f'{model} at {info.revision}'})"


def _outcome(id: str, given: Sequence[Any], aspects: Sequence[str], version: dict[str, str]) -> Outcome:
    mine = [one for one in given if isinstance(one, dict) and one.get("id") == id]
    if len(mine) != 1:
        return _wrong(id, f"the answer has {len(mine) or 'no'} judgments of this item")
    try:
        judgment = Judgment.model_validate(mine[0])
    except ValidationError as error:
        fault = error.errors()[0]
        return _wrong(id, f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}")
    if Counter(score.aspect for score in judgment.scores) != Counter(aspects):
        return _wrong(id, f"the aspects judged are not {', '.join(aspects)}")
    if any((score.score is None) == (score.unscored is None) for score in judgment.scores):
        return _wrong(id, "an aspect has not exactly one of score and unscored")
    return Outcome(id, judgment.model_dump(mode="json") | version, _cause(judgment))


def _wrong(id: str, what: str) -> Outcome:
    return Outcome(id, None, f"contract-broken: {what}")


def _cause(judgment: Judgment) -> str | None:
    """An item failed when no aspect has a score; a single aspect without one is told in the body."""
    if any(score.score is not None for score in judgment.scores):
        return None
    causes = {score.unscored.cause: score.unscored.detail for score in judgment.scores if score.unscored}
    return "; ".join(f"{cause}: {detail}" for cause, detail in causes.items())
