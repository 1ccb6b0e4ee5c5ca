"""All numbers of one analysis."""

from typing import NamedTuple

from plumbline_contracts.analyzer import (
    Agreement,
    ArmRanking,
    AspectMean,
    Difference,
    EarlyStop,
    ErrorDifference,
    ErrorRate,
    Interaction,
    LoopAudit,
    LoopScore,
    Strength,
    WinRate,
)
from plumbline_contracts.calibration import CorrectedMean

from . import differences, judges, means, preferences
from .calibration import corrected_means
from .statistics.bootstrap import Bootstrap
from .table import Table


class Numbers(NamedTuple):
    """Named as in the contract's AnalysisResponse."""

    means: list[AspectMean]
    corrected_means: list[CorrectedMean]
    error_rates: list[ErrorRate]
    differences: list[Difference]
    error_differences: list[ErrorDifference]
    interactions: list[Interaction]
    agreements: list[Agreement]
    arm_rankings: list[ArmRanking]
    win_rates: list[WinRate]
    strengths: list[Strength]
    early_stops: list[EarlyStop]
    loop_audits: list[LoopAudit]
    loop_scores: list[LoopScore]


def numbers(table: Table) -> Numbers:
    settings = table.request.settings
    bootstrap = Bootstrap(settings.resamples, settings.seed, settings.confidence)
    return Numbers(
        means=list(means.means(table, bootstrap)),
        corrected_means=corrected_means(table),
        error_rates=list(means.error_rates(table, settings.confidence)),
        differences=differences.differences(table, bootstrap),
        error_differences=differences.error_differences(table, bootstrap),
        interactions=differences.interactions(table, bootstrap),
        agreements=list(judges.agreements(table, bootstrap)),
        arm_rankings=list(judges.rankings(table)),
        win_rates=list(preferences.win_rates(table, bootstrap)),
        strengths=list(preferences.strengths(table, bootstrap)),
        early_stops=table.early.early_stops(table.arms, table.languages),
        loop_audits=table.early.loop_audits(settings.confidence),
        loop_scores=table.early.scores.compared(table.arms, settings.confidence),
    )
