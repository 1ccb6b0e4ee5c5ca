"""Our own formulas against published examples and independent implementations."""

import warnings

import choix
import krippendorff
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from plumbline_analyzer.statistics import agreement, pairwise, power, rates, sign_flip
from plumbline_analyzer.statistics.bootstrap import Bootstrap
from plumbline_analyzer.statistics.families import holm
from plumbline_analyzer.statistics.ordinal import CumulativeLink
from scipy import stats
from statsmodels.miscmodels.ordinal_model import OrderedModel
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.multitest import multipletests


@pytest.fixture
def dice() -> np.random.Generator:
    return np.random.default_rng(11)


def test_the_bootstrap_is_scipys(dice) -> None:
    values = dice.integers(1, 6, (60, 5)).astype(float)
    values[dice.random(values.shape) < 0.1] = np.nan
    found, _ = Bootstrap(2000, 5, 0.95).means(values[:, None])
    for column in range(5):
        expected = stats.bootstrap(
            (values[:, column],), np.nanmean, n_resamples=2000, method="BCa", rng=np.random.default_rng(5)
        ).confidence_interval
        assert (found.low[0, column], found.high[0, column]) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_resamples_that_do_not_fit_at_once_are_the_same(dice, monkeypatch) -> None:
    values = dice.integers(1, 6, (50, 3)).astype(float)
    whole = Bootstrap(1000, 1, 0.9).means(values[:, None])[0]
    monkeypatch.setattr("plumbline_analyzer.statistics.bootstrap._HELD", 7 * 50)
    assert np.array_equal(Bootstrap(1000, 1, 0.9).means(values[:, None])[0], whole)


def test_what_a_sample_cannot_say_about_itself() -> None:
    bootstrap = Bootstrap(200, 0, 0.95)
    ((low,), (high,)), _ = bootstrap.means(np.array([[[4.0, np.nan, np.nan]], [[4.0, 3.0, np.nan]]]))
    assert (low[0], high[0]) == (4, 4)  # the same everywhere is evidence
    assert np.isnan([low[1], low[2], high[1], high[2]]).all()
    assert np.isnan(bootstrap.means(np.array([[[4.0]]]))[0].low).all()


def test_leading_is_how_often_a_mean_is_largest(dice) -> None:
    values = np.column_stack([dice.normal(3, 1, 80), dice.normal(4, 1, 80), dice.normal(3, 1, 80)])
    _, (leads,) = Bootstrap(500, 0, 0.95).means(values[:, None])
    assert leads.sum() == pytest.approx(1)
    assert leads[1] > 0.99
    same = np.tile(dice.normal(3, 1, (80, 1)), 2)
    assert Bootstrap(500, 0, 0.95).means(same[:, None])[1][0] == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("step", [1, 0.5, 1 / 3])
def test_sign_flips_are_scipys_exact_permutations(dice, step) -> None:
    differences = dice.integers(-3, 5, (11, 4)) * step
    for column, p in zip(differences.T, sign_flip.p_values(differences), strict=True):
        expected = stats.permutation_test(
            (column, np.zeros(11)), lambda a, b: np.sum(a - b), permutation_type="samples", n_resamples=np.inf
        ).pvalue
        assert p == pytest.approx(expected, rel=1e-9)


def test_sign_flips_of_shares_are_mcnemars_test(dice) -> None:
    first, second = dice.random(300) < 0.2, dice.random(300) < 0.3
    table = [[np.sum(first & second), np.sum(first & ~second)], [np.sum(~first & second), np.sum(~first & ~second)]]
    differences = (first.astype(float) - second)[:, None]
    assert sign_flip.p_values(differences)[0] == pytest.approx(mcnemar(table, exact=True).pvalue, rel=1e-9)


def test_sign_flips_of_scores_on_no_lattice_are_close_to_the_t_test(dice) -> None:
    differences = dice.normal(0.1, 1, (800, 3))
    assert sign_flip.p_values(differences) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, rel=0.05)


def test_sign_flips_at_the_ends() -> None:
    nothing, zeros, six, five = [np.nan] * 6, [0.0] * 6, [1.0] * 6, [2.0] * 5 + [np.nan]
    p = sign_flip.p_values(np.array([nothing, zeros, six, five]).T)
    assert np.isnan(p[0])
    assert p[1:] == pytest.approx([1, 2 / 2**6, 2 / 2**5])
    assert sign_flip.p_values(np.ones((500, 1)))[0] == pytest.approx(1e-12)  # as exact as it gets


def test_the_cumulative_link_model_is_statsmodels(dice) -> None:
    shifts = np.array([0, 0.2, 0.6, -0.3])[:, None]
    scores = np.clip(np.rint(3 + shifts + dice.normal(0, 1, (4, 150)) + dice.normal(0, 0.8, 150)), 1, 5)
    scores[2, 5:20] = np.nan
    arm, item = np.nonzero(~np.isnan(scores))
    rows = pd.DataFrame({"arm": arm, "item": item, "score": scores[arm, item].astype(int)})
    dummies = pd.get_dummies(rows.arm, drop_first=True, dtype=float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = OrderedModel(rows.score, dummies, distr="logit")
        expected = model.fit(method="bfgs", disp=0, cov_type="cluster", cov_kwds={"groups": rows.item})
    contrasts = [CumulativeLink(scores).contrast(arm, 0) for arm in (1, 2, 3)]
    assert [one.log_odds for one in contrasts] == pytest.approx(list(expected.params[:3]), abs=1e-3)
    # statsmodels also corrects for the number of parameters; items are many more than those.
    assert [one.error for one in contrasts] == pytest.approx(list(expected.bse[:3]), rel=0.02)


def test_the_cumulative_link_model_without_anything_to_compare() -> None:
    model = CumulativeLink(np.array([[1.0, 2, 3, 2, 1, 3], [np.nan] * 6, [2.0, 3, 3, 2, 2, 3]]))
    assert model.contrast(1, 0) is None
    assert model.contrast(2, 0) is not None


def test_holm_is_statsmodels_and_leaves_the_untested_out(dice) -> None:
    p = dice.random(40) ** 3
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert holm(np.array([])).size == 0
    assert holm(np.array([0.01, np.nan, 0.04, 0.03])) == pytest.approx([0.03, np.nan, 0.06, 0.06], nan_ok=True)


def test_wilson_is_the_textbooks() -> None:
    """Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    low, high = rates.wilson(np.array([81, 15, 0, 1, 0]), np.array([263, 148, 20, 29, 0]), 0.95)
    assert low == pytest.approx([0.2553, 0.0624, 0, 0.0061, np.nan], abs=5e-5, nan_ok=True)
    assert high == pytest.approx([0.3662, 0.1605, 0.1611, 0.1718, np.nan], abs=5e-5, nan_ok=True)


def test_a_paired_difference_of_shares() -> None:
    """Agresti, Categorical Data Analysis, 10.1.1: approval 944 then 880 of 1,600; 150 and 86 changed."""
    low, high = rates.paired(150, 86, 1600, 0.95)
    assert (low, high) == pytest.approx((0.021, 0.059), abs=5e-4)
    low, high = rates.paired(0, 0, 50, 0.95)
    assert low < 0 < high
    assert np.isnan(rates.paired(0, 0, 0, 0.95)).all()


def test_agreement_is_that_of_the_libraries(dice) -> None:
    first = dice.integers(1, 6, (80, 3)).astype(float)
    second = np.clip(first + dice.integers(-1, 2, first.shape), 1, 5)
    first[:4], second[3:9, 1] = np.nan, np.nan
    x, y = (values[~np.isnan(first) & ~np.isnan(second)] for values in (first, second))
    found = agreement.agreement(first, second, Bootstrap(400, 0, 0.95))
    table = np.zeros((5, 5))
    np.add.at(table, (x.astype(int) - 1, y.astype(int) - 1), 1)
    assert found.n == len(x)
    assert found.kappa.value == pytest.approx(cohens_kappa(table, wt="quadratic").kappa)
    assert found.alpha.value == pytest.approx(krippendorff.alpha([x, y], level_of_measurement="ordinal"))
    assert found.spearman.value == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found.bias.value == pytest.approx(np.mean(y - x))
    for one in (found.kappa, found.alpha, found.spearman, found.bias):
        assert one.low < one.value < one.high
    levels = (table.astype(float)).reshape(-1, 1)
    assert agreement.ordinal_alpha(levels)[0] == pytest.approx(found.alpha.value)


def test_agreement_of_nothing_and_of_one_score() -> None:
    nothing = agreement.agreement(np.full((5, 2), np.nan), np.ones((5, 2)), Bootstrap(100, 0, 0.95))
    assert nothing.n == 0
    assert np.isnan(nothing.kappa.value)
    constant = agreement.agreement(np.full((5, 2), 5.0), np.full((5, 2), 5.0), Bootstrap(100, 0, 0.95))
    assert constant.exact == 1
    assert np.isnan([constant.kappa.value, constant.alpha.value, constant.spearman.value]).all()


def verdicts(dice, strengths, rounds=400) -> pairwise.Verdicts:
    pairs = np.array([(a, b) for a in range(len(strengths)) for b in range(a)] * rounds)
    chance = 1 / (1 + np.exp(-(strengths[pairs[:, 0]] - strengths[pairs[:, 1]])))
    score = np.where(dice.random(len(pairs)) < 0.1, 0.5, dice.random(len(pairs)) < chance)
    return pairwise.Verdicts(np.arange(len(pairs)) // 3, pairs[:, 0], pairs[:, 1], score)


def test_strengths_are_choixs(dice) -> None:
    drawn = verdicts(dice, np.array([0.0, 0.5, 1.2]))
    found = pairwise.strengths(drawn, 3, 0.95)
    wins = np.zeros((3, 3))
    np.add.at(wins, (drawn.first, drawn.second), drawn.score)
    np.add.at(wins, (drawn.second, drawn.first), 1 - drawn.score)
    assert [one.value for one in found] == pytest.approx(list(choix.ilsr_pairwise_dense(wins)), abs=1e-5)
    assert all(one.low < one.value < one.high for one in found)


def test_an_arm_that_never_loses_has_no_strength(dice) -> None:
    always = pairwise.Verdicts(np.arange(9), np.ones(9, int), np.zeros(9, int), np.ones(9))
    assert all(np.isnan(one.value) for one in pairwise.strengths(always, 2, 0.95))


def test_a_win_rate_at_equal_length(dice) -> None:
    """Wins that come from length alone are a half at equal length; statsmodels' Logit agrees where nothing is tied."""
    longer = dice.normal(200, 300, 3000)
    score = (dice.random(3000) < 1 / (1 + np.exp(-2 * np.tanh(longer / longer.std())))).astype(float)
    found = pairwise.length_controlled(np.arange(3000), score, longer, 0.95)
    assert score.mean() > 0.6
    assert found.low < 0.5 < found.high
    fitted = sm.Logit(score, sm.add_constant(np.tanh(longer / longer.std()))).fit(disp=0)
    assert found.value == pytest.approx(1 / (1 + np.exp(-fitted.params[0])), abs=1e-6)


def test_a_win_rate_at_equal_length_needs_lengths_that_differ() -> None:
    assert np.isnan(pairwise.length_controlled(np.arange(4), np.array([1.0, 0, 1, 1]), np.zeros(4), 0.95).value)


def test_detectable_effects_have_the_power_that_is_claimed(dice) -> None:
    """Cohen 1988: 34 pairs find an effect of 0.5 with a power of 0.8. For rates: exact power by simulation."""
    assert power.detectable_score(34, 1, 0.05, 0.8) == pytest.approx(0.5, abs=0.01)
    assert power.detectable_score(800, 1, 0.05, 0.5) == pytest.approx(0.0694, abs=1e-4)  # found by another root finder
    difference = power.detectable_rate(400, 0.15, 0.05, 0.8)
    more, less = (0.15 + difference) / 2, (0.15 - difference) / 2
    drawn = dice.multinomial(400, [more, less, 1 - more - less], 4000)
    shown = [stats.binomtest(int(b), int(b + c)).pvalue < 0.05 for b, c, _ in drawn]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.05)
    assert power.detectable_rate(20, 0.02, 0.05, 0.8) is None
