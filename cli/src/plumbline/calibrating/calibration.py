"""From a judge and gold items to what the analyzer makes of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from plumbline_contracts.analysis import JudgeLabel
from plumbline_contracts.calibrating import CalibrationRequest, CalibrationResponse
from plumbline_contracts.common import Info
from plumbline_kit.client import ServiceClient
from plumbline_kit.errors import ProblemError
from pydantic import SecretStr

from .asking import Asking, Told, preferences, rubric_of
from .gold import GoldItem


@dataclass(frozen=True)
class Calibrating:
    """`judge` and `analyzer` are addresses; without a `rubric` it is the judge's first. With `criteria` there is none:
    every item is judged on its own. `named` says what gold is."""

    judge: str
    analyzer: str
    token: str | None
    rubric: str | None
    criteria: bool
    aspect: str
    repeats: int
    pairs: int
    named: str

    async def run(self, items: Sequence[GoldItem], told: Told) -> CalibrationResponse:
        """Raises ProblemError. The analyzer is looked for first: hours of judging must not end at one that is away."""
        token = SecretStr(self.token) if self.token else None
        async with ServiceClient(self.judge, token) as judge, ServiceClient(self.analyzer, token) as analyzer:
            await _is(analyzer, "analyzer")
            return await self._run(items, judge, analyzer, told)

    async def _run(
        self, items: Sequence[GoldItem], judge: ServiceClient, analyzer: ServiceClient, told: Told
    ) -> CalibrationResponse:
        info = await _is(judge, "judge")
        rubric = None if self.criteria else await rubric_of(judge, self.rubric, self.aspect)
        asking = Asking(judge, rubric.name if rubric else None, self.aspect, told)
        scores = await asking.scores(items, self.repeats)
        request = CalibrationRequest(
            judge=JudgeLabel(
                name=info.implementation,
                implementation=info.implementation,
                model=info.model,
                description=info.description,
            ),
            rubric=asking.rubric,
            rubric_version=rubric.version if rubric else asking.version_of_criteria(),
            aspect=self.aspect,
            gold=self.named,
            scores=scores,
            pairs=await asking.pairs(preferences(items, self.pairs)),
        )
        return await analyzer.call("POST", "/v1/calibrations", CalibrationResponse, request)


async def _is(client: ServiceClient, contract: str) -> Info:
    """Who answers there; the problem `wrong-contract` when it is another kind of service."""
    info = await client.call("GET", "/info", Info)
    if not info.contract.startswith(f"{contract}/1."):
        detail = f"{client.url} answers the contract {info.contract!r}, not that of a {contract}."
        raise ProblemError(422, "wrong-contract", detail)
    return info
