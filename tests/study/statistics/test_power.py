"""Power, margins, and predictive probabilities against exact formulas and simulation."""

import numpy as np
import pytest
from scipy import optimize, stats

from attendet.study.statistics.decisions import decide
from attendet.study.statistics.joint_tests import step_down_p
from attendet.study.statistics.paired import paired_difference, share_interval, summarize_seeds
from attendet.study.statistics.power import (
    looks_power,
    min_seeds,
    seeds_for,
    settle_probability,
    smallest_detectable,
    smallest_margin,
    study_power,
)
from attendet.study.statistics.resampling import mean_interval, sign_flip_p
from attendet.study.statistics.sequential import sequential_decisions
from tests.helpers.typed_access import not_none


@pytest.mark.parametrize("effect", [0.5, 1.0, 2.0])
def test_power_of_six_seeds_is_that_of_six_equal_signs(effect):
    exact = stats.norm.cdf(effect) ** 6 + stats.norm.cdf(-effect) ** 6
    assert study_power(6, effect) == pytest.approx(exact, abs=0.06)


@pytest.mark.parametrize(("count", "published"), [(6, 0.58), (7, 0.86), (8, 0.95)])
def test_power_of_five_arms_is_that_of_an_independent_simulation(count, published):
    rng = np.random.default_rng(11)
    found = []
    for _ in range(500):
        runs, baseline = rng.standard_normal((5, count)), rng.standard_normal((1, count))
        study = (runs - baseline) / np.sqrt(2)
        study[0] += 2
        found.append(step_down_p(study)[0] <= 0.05)
    assert study_power(count, 2.0, comparisons=5) == pytest.approx(np.mean(found), abs=0.08)
    assert study_power(count, 2.0, comparisons=5) == pytest.approx(published, abs=0.06)


def test_the_smallest_detectable_difference_of_six_is_where_equal_signs_have_80_percent():
    exact = optimize.brentq(lambda effect: stats.norm.cdf(effect) ** 6 - 0.8, 0.5, 4)
    assert smallest_detectable(6) == pytest.approx(exact, abs=0.1)
    assert smallest_detectable(5) is None
    assert smallest_detectable(7, comparisons=5) is not None


def test_many_seeds_find_what_a_normal_distribution_predicts():
    predicted = (stats.norm.isf(0.025) + stats.norm.isf(0.2)) / np.sqrt(100)
    assert smallest_detectable(100) == pytest.approx(predicted, rel=0.1)
    # TOST: 80 % of the intervals of 90 % of an arm without an effect are within this margin.
    margin = (stats.norm.isf(0.05) + stats.norm.isf(0.1)) / np.sqrt(100)
    assert smallest_margin(100) == pytest.approx(margin, rel=0.1)


def test_more_seeds_find_smaller_differences():
    for function in (smallest_detectable, smallest_margin):
        found = [not_none(function(count, comparisons=3)) for count in (6, 8, 12, 30)]
        assert found == sorted(found, reverse=True)


def test_seeds_for_a_question_are_the_first_with_80_percent():
    needed = not_none(seeds_for(1.2, comparisons=3))
    assert study_power(needed, 1.2, comparisons=3) >= 0.8 > study_power(needed - 1, 1.2, comparisons=3)
    assert seeds_for(20.0, comparisons=5) == min_seeds() == 6
    assert seeds_for(0.05) is None


def test_a_difference_that_matters_is_shown_not_to_matter_in_at_most_5_percent_of_studies():
    # The true difference is exactly what matters.
    studies = 0.01 + 0.01 * np.random.default_rng(13).standard_normal((2000, 8))
    wrong = [not_none(mean_interval(study, 0.9)) for study in studies]
    rate = np.mean([each.low > -0.01 and each.high < 0.01 for each in wrong])
    assert rate <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.parametrize(
    ("shift", "verdict"),
    [(0.0, "no difference that matters"), (0.05, "helps considerably"), (-0.05, "hurts considerably")],
)
def test_verdicts_about_what_matters(shift, verdict):
    noise = np.array([1.0, -1.0, 0.5, -0.5, 0.2, -0.2, 0.8, -0.8]) / 1000
    paired = paired_difference(dict(enumerate(noise + shift)), dict.fromkeys(range(8), 0.0))
    (decision,) = decide([paired], range(8), matters=0.01)
    assert decision.verdict == verdict
    (decision,) = decide([paired], range(8), matters=0.0005)
    assert decision.verdict != "no difference that matters"


def test_predicted_probabilities_of_a_decision_are_frequencies():
    # True differences from a wide range, as the flat prior assumes.
    rng = np.random.default_rng(14)
    predicted, decided = [], []
    for effect in rng.uniform(-3, 3, 300):
        study = effect + rng.standard_normal(12)
        if float(sign_flip_p(study[:6])) <= 0.05:
            continue
        predicted.append(settle_probability(study[:6], total=12))
        decided.append(float(sign_flip_p(study)) <= 0.05)
    assert np.mean(predicted) == pytest.approx(np.mean(decided), abs=0.08)


def test_the_power_of_looks_is_that_of_going_through_them():
    rng = np.random.default_rng(15)
    looks, ends, found = (6, 8, 10), [], []
    for study in 1 + rng.standard_normal((300, 10)):
        decided = sequential_decisions([study], looks, 10)[0]
        ends.append(10 if decided is None else looks[decided])
        found.append(decided is not None)
    power, seeds = looks_power(looks, effect=1.0)
    assert power == pytest.approx(np.mean(found), abs=0.08)
    assert seeds == pytest.approx(np.mean(ends), abs=0.4)


def test_pairs_are_the_seeds_that_both_have():
    found = not_none(paired_difference({0: 0.5, 2: 0.7, 3: 0.2}, {3: 0.1, 0: 0.4, 1: 0.9}))
    assert found.seeds == (0, 3)
    assert found.differences == pytest.approx((0.1, 0.1))
    assert paired_difference({0: 0.5}, {1: 0.5}) is None
    alone = not_none(paired_difference({0: 0.5}, {0: 0.4}))
    assert (alone.interval, alone.spread, alone.p) == (None, None, 1.0)


def test_mean_and_spread_are_numpys():
    values = [0.41, 0.43, 0.48]
    found = not_none(summarize_seeds(values))
    assert (found.mean, found.spread) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert (found.low, found.high, found.n) == (0.41, 0.48, 3)


def test_the_interval_of_a_share_is_clopper_and_pearsons():
    assert share_interval(6, 8) == pytest.approx((stats.beta.ppf(0.025, 6, 3), stats.beta.ppf(0.975, 7, 2)))
    assert share_interval(0, 6)[0] == 0
