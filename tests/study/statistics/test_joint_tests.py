"""Step-down maxT and simultaneous intervals against brute force, sign flips of one arm, and simulation."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attendet.study.statistics.decisions import decide
from attendet.study.statistics.joint_tests import simultaneous_intervals, step_down_p
from attendet.study.statistics.paired import paired_difference
from attendet.study.statistics.resampling import mean_interval, sign_flip_p
from tests.helpers.typed_access import not_none
from tests.study.statistics.simulated_differences import simulated

STUDIES = 400


def by_hand(differences):
    """Return step-down maxT p-values by looping over all signs of all seeds."""
    values = np.array(differences)
    norms = np.sqrt((values**2).sum(1))

    def statistics(signs):
        return np.abs(values @ np.array(signs)) / norms

    observed = statistics(np.ones(values.shape[1]))
    order = sorted(range(len(values)), key=lambda arm: -observed[arm])
    p, largest = [0.0] * len(values), 0.0
    for place, arm in enumerate(order):
        rest = order[place:]
        signs = list(itertools.product((1, -1), repeat=values.shape[1]))
        count = sum(statistics(each)[rest].max() >= observed[arm] - 1e-9 for each in signs)
        largest = max(largest, count / len(signs))
        p[arm] = largest
    return p


@pytest.mark.parametrize(("arms", "seeds"), [(2, 5), (3, 6), (4, 7)])
def test_step_down_p_by_brute_force(arms, seeds):
    for study in np.random.default_rng(5).normal(0.5, 1, (5, arms, seeds)):
        assert step_down_p(study) == pytest.approx(by_hand(study))


@given(st.lists(st.integers(-20, 20).map(float), min_size=2, max_size=10))
@settings(max_examples=60, deadline=None)
def test_one_arm_is_the_sign_flip_test(differences):
    assert step_down_p([differences]) == [float(sign_flip_p(differences))]
    twice = step_down_p([differences, differences])
    assert twice == pytest.approx([float(sign_flip_p(differences))] * 2), "a copy of an arm costs nothing"


def test_the_floor_does_not_depend_on_the_number_of_arms():
    rng = np.random.default_rng(0)
    arms = rng.normal(1, 0.05, (6, 8))
    assert step_down_p(arms) == [2 / 2**8] * 6


def test_an_arm_without_seeds_and_missing_seeds_are_left_out():
    full = [0.3, 0.2, 0.4, 0.1, 0.25, 0.3, 0.2]
    nan = float("nan")
    assert step_down_p([full, [nan] * 7])[1] == 1.0
    first, second = step_down_p([full, [*full[:6], nan]])
    assert first <= second == 2 / 2**6


@pytest.mark.parametrize("noise", ["normal", "heavy", "skewed", "uneven"])
@pytest.mark.parametrize("count", [6, 7, 8])
def test_at_most_5_percent_of_studies_find_one_of_five_arms_without_an_effect(count, noise):
    found = np.mean([min(step_down_p(study)) <= 0.05 for study in simulated(STUDIES, count, noise, arms=5)])
    assert found <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / STUDIES)
    alone = np.mean([sign_flip_p(study).min() <= 0.05 for study in simulated(STUDIES, count, noise, arms=5)])
    assert alone > found, "without the adjustment it is more often"


@pytest.mark.parametrize("truth", [[0.0, 0.01, 0.03], [0.1, -0.1, 0.12], [0.0, 0.0, 0.0]])
def test_simultaneous_intervals_cover_all_differences_together(truth):
    truth = np.array(truth)
    covered = []
    for study in simulated(200, 7, arms=3, seed=3):
        intervals = simultaneous_intervals(study / 100 + truth[:, None])
        covered.append(
            all(not_none(each).low <= mean <= not_none(each).high for each, mean in zip(intervals, truth, strict=True))
        )
    assert np.mean(covered) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 200)


def test_the_simultaneous_interval_of_one_arm_is_the_inverted_test_and_that_of_several_is_wider():
    rng = np.random.default_rng(8)
    one, other = rng.normal(0.005, 0.01, 8), rng.normal(0, 0.01, 8)
    alone = not_none(mean_interval(one))
    (same,) = simultaneous_intervals([one])
    assert same == alone
    together = not_none(simultaneous_intervals([one, other])[0])
    assert together.low <= alone.low < alone.high <= together.high


@pytest.mark.parametrize("effect", [0.0, 0.7, 1.5])
def test_verdict_and_interval_agree(effect):
    for study in simulated(60, 7, arms=3, seed=4):
        study[0] += effect
        family = [paired_difference(dict(enumerate(row)), dict.fromkeys(range(7), 0.0)) for row in study / 100]
        for each in decide(family, range(7)):
            interval = not_none(each.interval)
            crosses = interval.low < 0 < interval.high
            assert crosses == (each.verdict == "not distinguishable") == (each.p > 0.05)


def test_with_all_differences_at_the_margin_at_most_5_percent_of_studies_call_one_irrelevant():
    wrong = []
    for study in simulated(200, 8, arms=4, seed=6):
        differences = 0.02 + study / 100
        family = [paired_difference(dict(enumerate(row)), dict.fromkeys(range(8), 0.0)) for row in differences]
        verdicts = [each.verdict for each in decide(family, range(8), matters=0.02)]
        wrong.append(any(each in ("no difference that matters", "helps considerably") for each in verdicts))
    # Two one-sided errors of 5 % each; the intervals of 95 and 90 % hold for all arms together.
    assert np.mean(wrong) <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 200)


def test_three_seeds_decide_nothing():
    family = [paired_difference({0: 0.501, 1: 0.502, 2: 0.499}, dict.fromkeys(range(3), 0.5))]
    assert decide(family, range(3), matters=0.05)[0].verdict == "open"
