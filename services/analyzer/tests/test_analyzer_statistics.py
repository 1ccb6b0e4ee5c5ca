import math

import numpy as np
import pytest
from plumbline_analyzer.statistics import UNKNOWN, mean_interval, share_interval
from plumbline_contracts.analyzer import AnalysisSettings
from scipy import stats

# Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3 (Wilson's score interval), 95 %.
NEWCOMBE = [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611), (1, 29, 0.0061, 0.1718)]


@pytest.mark.parametrize(("found", "n", "low", "high"), NEWCOMBE)
def test_wilson_as_published(found, n, low, high) -> None:
    interval = share_interval(found, n, AnalysisSettings())
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(("found", "n"), [(0, 7), (3, 7), (7, 7), (500, 1000)])
def test_wilson_by_its_formula(found, n, confidence) -> None:
    z = stats.norm.ppf((1 + confidence) / 2)
    share = found / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    interval = share_interval(found, n, AnalysisSettings(confidence=confidence))
    assert interval == pytest.approx((max(0, centre - half), min(1, centre + half)), abs=1e-12)


def test_nothing_is_known_of_no_responses() -> None:
    assert share_interval(0, 0, AnalysisSettings()) == UNKNOWN


def bca_by_hand(values: list[float], settings: AnalysisSettings) -> tuple[float, float]:
    """Efron and Tibshirani (1993), chapter 14.3, written out for the mean."""
    sample = np.asarray(values)
    n, rng = len(sample), np.random.default_rng(settings.seed + 1)
    means = sample[rng.integers(0, n, (settings.resamples, n))].mean(axis=1)
    z0 = stats.norm.ppf((np.mean(means < sample.mean()) + np.mean(means <= sample.mean())) / 2)
    left_out = (sample.sum() - sample) / (n - 1)
    deviation = left_out.mean() - left_out
    acceleration = (deviation**3).sum() / (6 * (deviation**2).sum() ** 1.5)
    z = stats.norm.ppf([(1 - settings.confidence) / 2, (1 + settings.confidence) / 2])
    return tuple(np.quantile(means, stats.norm.cdf(z0 + (z0 + z) / (1 - acceleration * (z0 + z)))))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n", [12, 60, 300])
def test_bootstrap_agrees_with_an_independent_one(seed, n) -> None:
    values = np.random.default_rng(seed).choice([1, 2, 3, 4, 5], p=[0.05, 0.05, 0.1, 0.2, 0.6], size=n).tolist()
    settings = AnalysisSettings(resamples=20_000, seed=seed)
    spread, lattice = np.std(values, ddof=1) / math.sqrt(n), 1.01 / n  # means of whole scores lie 1/n apart
    assert mean_interval(values, settings) == pytest.approx(bca_by_hand(values, settings), abs=0.08 * spread + lattice)


def test_bootstrap_nears_the_t_interval_of_a_large_symmetric_sample() -> None:
    values = np.random.default_rng(0).normal(3, 0.5, 800)
    low, high = stats.t.interval(0.95, 799, values.mean(), stats.sem(values))
    assert mean_interval(values.tolist(), AnalysisSettings()) == pytest.approx((low, high), abs=0.005)


def test_bootstrap_covers_as_often_as_it_says() -> None:
    scores, chances = np.array([1, 2, 3, 4, 5]), [0.1, 0.1, 0.2, 0.3, 0.3]
    truth, rng, settings = float(scores @ chances), np.random.default_rng(7), AnalysisSettings(resamples=400)
    intervals = [mean_interval(rng.choice(scores, p=chances, size=50).tolist(), settings) for _ in range(300)]
    covered = np.mean([interval.low <= truth <= interval.high for interval in intervals])
    assert 0.90 <= covered <= 0.99


def test_the_seed_decides() -> None:
    values = [1.0, 2.0, 2.5, 4.0, 5.0] * 6
    assert mean_interval(values, AnalysisSettings(seed=1)) == mean_interval(values, AnalysisSettings(seed=1))
    assert mean_interval(values, AnalysisSettings(seed=1)) != mean_interval(values, AnalysisSettings(seed=2))


@pytest.mark.parametrize("values", [[], [4.0]])
def test_fewer_than_two_values_have_no_interval(values: list[float]) -> None:
    assert mean_interval(values, AnalysisSettings()) == UNKNOWN


def test_values_that_are_all_the_same_have_an_interval_without_width() -> None:
    assert mean_interval([4.0, 4.0, 4.0], AnalysisSettings()) == (4.0, 4.0)


def test_memory_stays_bounded() -> None:
    """A hundred thousand resamples of a thousand values are 800 MB at once; they are drawn in batches."""
    values = [float(1 + i % 5) for i in range(1000)]
    interval = mean_interval(values, AnalysisSettings(resamples=10_000))
    assert interval.low < 3 < interval.high
