"""Sign-flip tests and intervals against scipy, brute force, and numbers computed by hand."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from attendet.study.statistics.resampling import mean_interval, p_floor, sign_flip_p
from tests.helpers.typed_access import not_none
from tests.study.statistics.simulated_differences import simulated

STUDIES = 2000
hundredths = st.integers(-20, 20).map(lambda number: number / 100)


@given(st.lists(st.integers(-20, 20).map(float), min_size=2, max_size=9))
@settings(max_examples=60, deadline=None)
def test_p_is_scipys_exact_one(differences):
    peer = stats.permutation_test(
        (np.array(differences),),
        lambda values, axis: values.mean(axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=2 ** len(differences),
    )
    assert float(sign_flip_p(differences)) == pytest.approx(peer.pvalue)


def test_p_computed_by_hand():
    # The sum is 4. That of 1, 2, 3, and 4 is 10, so sums of at least 4 are those whose minuses sum to at most 3: no
    # minus, 1, 2, 3, or 1 and 2. Those are five, and as many are at most -4.
    assert float(sign_flip_p([1, 2, 4, -3])) == 10 / 16
    assert float(sign_flip_p([0.0, 0.0, 0.0])) == 1.0
    assert float(sign_flip_p([0.1, 0.2, 0.3, 0.1, 0.2])) == 2 / 32
    assert float(sign_flip_p([0.1])) == 1.0


def test_p_of_30_differences_is_a_count_of_partitions():
    # All differences are 1 except 12, which are -1: the sum 6 is exceeded by a binomial count.
    differences = np.ones(30)
    differences[:12] = -1
    assert float(sign_flip_p(differences)) == pytest.approx(2 * stats.binom.sf(17, 30, 0.5), rel=1e-12)


@pytest.mark.parametrize("count", [12, 30, 45])
def test_p_does_not_depend_on_the_order_of_the_seeds(count):
    differences = np.random.default_rng(count).normal(0.3, 1, count)
    shuffled = np.random.default_rng(1).permutation(differences)
    assert float(sign_flip_p(shuffled)) == float(sign_flip_p(differences))


def test_p_of_more_than_30_differences_is_close_to_that_of_a_normal_distribution_and_never_0():
    differences = np.random.default_rng(4).normal(0.3, 1, 60)
    score = abs(differences.sum()) / np.sqrt((differences**2).sum())
    assert float(sign_flip_p(differences)) == pytest.approx(2 * stats.norm.sf(score), rel=0.05)
    assert float(sign_flip_p(np.full(60, 1.0))) == p_floor(60) > 0


@given(st.lists(hundredths, min_size=6, max_size=9), st.sampled_from([0.9, 0.95]))
@settings(max_examples=60, deadline=None)
def test_the_interval_is_the_inverted_test_by_brute_force(differences, confidence):
    # p changes only at means of subsets, so the accepted values are found by testing those and the gaps between them.
    values = np.array(differences)
    subsets = itertools.chain.from_iterable(itertools.combinations(values, k + 1) for k in range(len(values)))
    means = np.unique(np.round([np.mean(subset) for subset in subsets], 12))
    tested = np.unique(np.concatenate([means, (means[1:] + means[:-1]) / 2]))
    accepted = [center for center in tested if float(sign_flip_p(values - center)) > 1 - confidence + 1e-12]
    found = not_none(mean_interval(values, confidence))
    assert (found.low, found.high) == pytest.approx((min(accepted), max(accepted)), abs=1e-9)


@given(st.lists(hundredths, min_size=6, max_size=12))
@settings(max_examples=200, deadline=None)
def test_the_interval_excludes_0_exactly_if_p_is_at_most_5_percent(differences):
    found = not_none(mean_interval(differences))
    assert (found.low > 0 or found.high < 0) == (float(sign_flip_p(differences)) <= 0.05)


def test_the_interval_of_six_is_the_extremes_and_that_of_eight_the_sixth_subset_mean():
    six = [0.3, -0.1, 0.45, 0.2, 0.11, 0.7]
    found = not_none(mean_interval(six))
    assert (found.low, found.high) == (-0.1, 0.7)
    eight = np.array([*six, 0.05, 0.33])
    means = sorted(float(np.mean(subset)) for k in range(8) for subset in itertools.combinations(eight, k + 1))
    found = not_none(mean_interval(eight))
    assert (found.low, found.high) == pytest.approx((means[5], means[-6]))


def test_the_intervals_of_15_by_bisection_and_of_14_by_listing_agree_with_the_test():
    generator = np.random.default_rng(0)
    for count in (14, 15, 22):
        values = generator.normal(0.5, 1, count)
        found = not_none(mean_interval(values))
        inside, outside = found.low + 1e-6, found.low - 1e-6
        assert float(sign_flip_p(values - inside)) > 0.05 >= float(sign_flip_p(values - outside))


@pytest.mark.parametrize("noise", ["normal", "heavy", "uneven"])
@pytest.mark.parametrize("count", [6, 7, 8, 10])
def test_coverage_of_symmetric_differences_is_exactly_that_of_the_rank(count, noise):
    rank = math.floor(0.025 * 2**count)
    exact = 1 - 2 * rank / 2**count
    intervals = [not_none(mean_interval(study)) for study in simulated(STUDIES, count, noise)[:, 0]]
    covered = np.mean([each.low <= 0 <= each.high for each in intervals])
    assert covered == pytest.approx(exact, abs=3 * np.sqrt(exact * (1 - exact) / STUDIES))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_fewer_than_six_differences_have_students_interval(count):
    values = [0.1, 0.3, 0.25, 0.4, 0.2][:count]
    found = not_none(mean_interval(values))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.method == "Student's t"
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("count", range(3, 10))
def test_ties_never_make_an_interval_absurd(count):
    generator = np.random.default_rng(2)
    for ties in range(1, count):
        differences = generator.normal(0.01, 0.02, (20, count))
        differences[:, :ties] = differences[:, :1]
        for study in np.round(differences, 3):
            found = not_none(mean_interval(study))
            assert max(abs(found.low), abs(found.high)) < 0.5


def test_equal_differences_have_an_interval_of_zero_width_and_one_difference_has_no_interval():
    found = not_none(mean_interval([0.02] * 6))
    assert (found.low, found.high) == pytest.approx((0.02, 0.02))
    assert mean_interval([0.02]) is None


def test_intervals_move_and_scale_with_the_differences():
    values = np.array([0.01, 0.03, -0.02, 0.015, 0.04, 0.022, 0.001])
    found, moved = not_none(mean_interval(values)), not_none(mean_interval(7 - 100 * values))
    assert (moved.low, moved.high) == pytest.approx((7 - 100 * found.high, 7 - 100 * found.low))


@pytest.mark.parametrize(("count", "attainable"), [(5, 0.0), (6, 2 / 64), (7, 6 / 128), (8, 12 / 256)])
@pytest.mark.parametrize("noise", ["normal", "heavy", "skewed", "uneven"])
def test_false_positives_are_as_often_as_the_exact_test_allows(count, attainable, noise):
    # The difference of two runs with the same skew is symmetric.
    rate = np.mean(sign_flip_p(simulated(STUDIES, count, noise)[:, 0]) <= 0.05)
    assert rate == pytest.approx(attainable, abs=3 * np.sqrt(attainable * (1 - attainable) / STUDIES) + 1e-12)
