"""Intervals, p-values, Holm, and power against simulation, brute force, scipy, and numbers computed by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from attendet.study.statistics.paired import holm, paired_difference, summarize_seeds
from attendet.study.statistics.power import min_seeds, seeds_to_settle, sign_flip_power, smallest_detectable
from attendet.study.statistics.resampling import mean_interval, p_floor, sign_flip_p, studentized_interval
from tests.helpers.typed_access import not_none

STUDIES = 2000


def studies(count, noise="normal", arms=1, seed=0):
    """Return (studies, arms, seeds) differences of arms that do nothing to a baseline that they share."""
    generator = np.random.default_rng(seed)
    draw = {
        "normal": generator.standard_normal,
        "heavy": lambda size: generator.standard_t(5, size),
        "skewed": lambda size: generator.gamma(4, 1, size) - 4,
    }[noise]
    of_seed = 3 * generator.standard_normal((STUDIES, 1, count))
    baseline, runs = of_seed + draw((STUDIES, 1, count)), of_seed + draw((STUDIES, arms, count))
    return runs - baseline


@pytest.mark.parametrize(
    ("count", "noise"),
    [(4, "normal"), (5, "normal"), (6, "normal"), (7, "normal"), (8, "normal"), (6, "heavy"), (6, "skewed")],
)
def test_95_percent_intervals_cover_the_truth_in_95_percent_of_2000_studies(count, noise):
    low, high = studentized_interval(studies(count, noise)[:, 0])
    assert np.mean((low <= 0) & (high >= 0)) == pytest.approx(0.95, abs=0.015)


def test_intervals_of_resamples_drawn_at_random_cover_too():
    few = studies(10)[:200, 0]
    low, high = studentized_interval(few)
    # Of 200 studies the share has a standard error of 0.015.
    assert np.mean((low <= 0) & (high >= 0)) == pytest.approx(0.95, abs=0.045)


def test_percentile_and_bca_intervals_of_six_do_not_cover_which_is_why_they_are_not_taken():
    differences = studies(6)[:500, 0]
    for method in ("percentile", "BCa"):
        found = stats.bootstrap(
            (differences,), np.mean, axis=-1, n_resamples=999, method=method, rng=np.random.default_rng(0)
        ).confidence_interval
        assert np.mean((found.low <= 0) & (found.high >= 0)) < 0.92


def test_the_studentized_interval_is_that_of_all_resamples_one_by_one():
    values = np.array([0.3, -0.1, 0.45, 0.2])
    mean, error = values.mean(), values.std(ddof=1) / 2
    studentized = []
    for drawn in itertools.product(values, repeat=4):
        sample = np.array(drawn)
        spread = sample.std(ddof=1) / 2
        studentized.append(
            (sample.mean() - mean) / spread if spread > 1e-12 else np.sign(sample.mean() - mean) * np.inf
        )
    ordered = sorted(studentized)
    # 250 of the 256 are the first to be more than 97.5 %, from either side.
    expected = mean - error * ordered[249], mean - error * ordered[6]
    assert studentized_interval(values) == pytest.approx(expected)


def test_intervals_move_and_scale_with_the_differences():
    values = np.array([0.01, 0.03, -0.02, 0.015, 0.04, 0.022])
    low, high = studentized_interval(values)
    assert studentized_interval(7 - 100 * values) == pytest.approx((7 - 100 * high, 7 - 100 * low))


@pytest.mark.parametrize("values", [[0.1, 0.3], [0.1, 0.25, 0.3], [0.1, 0.1, 0.1, 0.3]])
def test_if_the_bootstrap_is_unbounded_students_t_is_used_and_named(values):
    found = not_none(mean_interval(values))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.method == "Student's t"
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_equal_differences_have_an_interval_of_zero_width_and_one_difference_has_no_interval():
    found = not_none(mean_interval([0.02] * 6))
    assert (found.low, found.high) == (0.02, 0.02)
    assert mean_interval([0.02]) is None


@given(st.lists(st.integers(-20, 20).map(lambda number: number / 100), min_size=2, max_size=9))
@settings(max_examples=60, deadline=None)
def test_sign_flip_p_is_scipys_exact_one(differences):
    peer = stats.permutation_test(
        (np.array(differences),),
        lambda values, axis: values.mean(axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=2 ** len(differences),
    )
    assert float(sign_flip_p(differences)) == pytest.approx(peer.pvalue)


def test_sign_flip_p_worked_out_by_hand():
    # The sum is 4. That of 1, 2, 3 and 4 is 10, so sums of at least 4 are those whose minuses sum to at most 3:
    # none, 1, 2, 3, or 1 and 2. Those are five, and as many are at most -4.
    assert float(sign_flip_p([1, 2, 4, -3])) == 10 / 16
    assert float(sign_flip_p([0.0, 0.0, 0.0])) == 1.0
    assert float(sign_flip_p([0.1, 0.2, 0.3, 0.1, 0.2])) == 2 / 32


def test_five_seeds_cannot_reach_0_05_and_six_can():
    assert float(sign_flip_p([1, 2, 3, 4, 5])) == p_floor(5) == 0.0625
    assert float(sign_flip_p([1, 2, 3, 4, 5, 6])) == p_floor(6) == 0.03125


def test_many_differences_are_flipped_at_random_and_p_is_never_0():
    generator = np.random.default_rng(3)
    differences = generator.standard_normal(20) + 0.4
    exact = stats.permutation_test(
        (differences,), lambda values, axis: values.mean(axis), permutation_type="samples", n_resamples=10_000, rng=5
    )
    assert float(sign_flip_p(differences)) == pytest.approx(exact.pvalue, abs=0.02)
    assert float(sign_flip_p(np.full(20, 1.0) + 0.01 * differences)) == p_floor(20) > 0


@pytest.mark.parametrize(("count", "attainable"), [(5, 0.0), (6, 2 / 64), (7, 6 / 128), (8, 12 / 256)])
@pytest.mark.parametrize("noise", ["normal", "heavy", "skewed"])
def test_false_positives_are_as_often_as_the_exact_test_allows(count, attainable, noise):
    # The difference of two runs with the same skew is symmetric.
    rate = np.mean(sign_flip_p(studies(count, noise)[:, 0]) <= 0.05)
    assert attainable <= 0.05
    assert rate == pytest.approx(attainable, abs=3 * np.sqrt(attainable * (1 - attainable) / STUDIES) + 1e-12)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([0.01, 0.02, 0.03, 0.04], [0.04, 0.06, 0.06, 0.06]),
        ([0.04, 0.01, 0.03], [0.06, 0.03, 0.06]),
        ([0.5, 0.5], [1.0, 1.0]),
        ([0.02], [0.02]),
        ([], []),
    ],
)
def test_holm_worked_out_by_hand(given, expected):
    assert holm(given) == pytest.approx(expected)


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(p_values):
    everyone = range(len(p_values))
    subsets = [subset for size in everyone for subset in itertools.combinations(everyone, size + 1)]
    expected = [
        max(min(1, len(subset) * min(p_values[k] for k in subset)) for subset in subsets if number in subset)
        for number in everyone
    ]
    assert holm(p_values) == pytest.approx(expected)


@pytest.mark.parametrize("noise", ["normal", "heavy", "skewed"])
def test_among_five_arms_that_do_nothing_one_is_found_in_at_most_5_percent_of_studies(noise):
    p_values = sign_flip_p(studies(8, noise, arms=5))
    found = np.mean([min(holm(study)) <= 0.05 for study in p_values])
    assert 0 < found <= 0.05
    assert np.mean(p_values.min(1) <= 0.05) > 0.1, "without Holm it is more often"


@pytest.mark.parametrize("effect", [0.5, 1.0, 2.0])
def test_power_of_six_seeds_is_that_of_six_equal_signs(effect):
    exact = stats.norm.cdf(effect) ** 6 + stats.norm.cdf(-effect) ** 6
    assert sign_flip_power(6, effect) == pytest.approx(exact, abs=0.03)


@pytest.mark.parametrize(("count", "effect", "comparisons"), [(13, 0.6, 1), (13, 0.9, 3), (14, 1.0, 5)])
def test_approximated_power_equals_simulation(count, effect, comparisons):
    noise = np.random.default_rng(9).standard_normal((600, count))
    simulated = np.mean(sign_flip_p(noise + effect) <= 0.05 / comparisons)
    assert sign_flip_power(count, effect, comparisons) == pytest.approx(simulated, abs=0.06)


def test_more_seeds_find_smaller_differences_and_larger_differences_need_fewer_seeds():
    detectable = [not_none(smallest_detectable(count, comparisons=5)) for count in (8, 12, 13, 30, 200)]
    assert detectable == sorted(detectable, reverse=True)
    assert detectable[-1] == pytest.approx((stats.norm.isf(0.005) + stats.norm.isf(0.2)) / np.sqrt(200), rel=0.05)
    needed = [not_none(seeds_to_settle(effect)) for effect in (0.3, 1.0, 15.0)]
    assert needed == sorted(needed, reverse=True)
    assert all(
        np.isfinite(sign_flip_power(count, effect)) for count in (13, 14, 40, 200) for effect in (0, 0.1, 1, 3, 5, 20)
    )


def test_the_smallest_detectable_difference_of_six_is_where_equal_signs_have_80_percent():
    exact = optimize.brentq(lambda effect: stats.norm.cdf(effect) ** 6 - 0.8, 0.5, 4)
    assert smallest_detectable(6) == pytest.approx(exact, abs=0.06)
    assert smallest_detectable(5) is None
    assert smallest_detectable(7, comparisons=5) is None


def test_seeds_to_settle_are_the_first_with_80_percent():
    needed = not_none(seeds_to_settle(1.2, comparisons=3))
    assert sign_flip_power(needed, 1.2, comparisons=3) >= 0.8 > sign_flip_power(needed - 1, 1.2, comparisons=3)
    assert seeds_to_settle(20.0, comparisons=5) == min_seeds(comparisons=5) == 8


def test_pairs_are_the_seeds_that_both_have():
    found = not_none(paired_difference({0: 0.5, 2: 0.7, 3: 0.2}, {3: 0.1, 0: 0.4, 1: 0.9}))
    assert found.seeds == (0, 3)
    assert found.differences == pytest.approx((0.1, 0.1))
    assert found.n == 2
    assert paired_difference({0: 0.5}, {1: 0.5}) is None
    alone = not_none(paired_difference({0: 0.5}, {0: 0.4}))
    assert (alone.interval, alone.spread, alone.p) == (None, None, 1.0)


def test_mean_and_spread_are_numpys():
    values = [0.41, 0.43, 0.48]
    found = not_none(summarize_seeds(values))
    assert (found.mean, found.spread) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert (found.low, found.high, found.n) == (0.41, 0.48, 3)
