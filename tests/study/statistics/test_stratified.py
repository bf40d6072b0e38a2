"""Stratified sign flips against brute force."""

import itertools

import numpy as np
import pytest

from attendet.study.statistics.resampling import mean_interval, sign_flip_p
from attendet.study.statistics.stratified import stratified_interval, stratified_p
from tests.helpers.typed_access import not_none


def test_p_by_brute_force():
    strata = [np.array([0.3, -0.1, 0.2]), np.array([0.05, 0.1, 0.2, -0.02])]

    def statistic(signs):
        flipped = np.concatenate(strata) * np.array(signs)
        return abs((flipped[:3].mean() + flipped[3:].mean()) / 2)

    observed = statistic(np.ones(7))
    signs = list(itertools.product((1, -1), repeat=7))
    expected = np.mean([statistic(each) >= observed - 1e-12 for each in signs])
    assert stratified_p(strata) == pytest.approx(expected)


def test_strata_of_equal_size_are_one_sample():
    values = np.random.default_rng(0).normal(0.4, 1, 12)
    strata = [values[:6], values[6:]]
    assert stratified_p(strata) == pytest.approx(float(sign_flip_p(values)))
    found, expected = not_none(stratified_interval(strata)), not_none(mean_interval(values))
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_coverage_of_the_mean_of_two_data_sets():
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(300):
        strata = [0.5 + rng.normal(0, 1, 6), -0.1 + rng.normal(0, 0.3, 8)]
        interval = not_none(stratified_interval(strata))
        covered.append(interval.low <= 0.2 <= interval.high)
    assert np.mean(covered) == pytest.approx(0.95, abs=3 * np.sqrt(0.05 * 0.95 / 300))
