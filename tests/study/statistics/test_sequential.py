"""Looks against enumeration and simulation."""

import itertools

import numpy as np
import pytest

from attendet.study.statistics.resampling import sign_flip_p
from attendet.study.statistics.sequential import look_levels, sequential_decisions, spent_alpha

LOOKS = (6, 8, 10, 12)


def decided_at(differences, looks=LOOKS):
    """Return the look that decides, going through the looks as a study does, or None."""
    for number, look in enumerate(looks):
        levels = look_levels([differences[:look]], looks[: number + 1], looks[-1])
        if float(sign_flip_p(differences[:look])) <= levels[-1] * (1 + 1e-9):
            return number
    return None


def test_of_all_signs_of_the_same_sizes_at_most_5_percent_are_decided_at_any_look():
    sizes = np.random.default_rng(2).uniform(0.2, 2, 8)
    looks = (6, 8)
    signs = list(itertools.product((1.0, -1.0), repeat=8))
    decided = [decided_at(sizes * np.array(each), looks) is not None for each in signs]
    assert 0.03 < np.mean(decided) <= 0.05


def test_levels_do_not_depend_on_the_signs():
    sizes = np.random.default_rng(3).uniform(0.2, 2, 12)
    flipped = sizes * np.random.default_rng(4).choice((-1, 1), 12)
    assert look_levels([sizes], LOOKS, 12) == look_levels([flipped], LOOKS, 12)


def test_the_last_look_spends_the_whole_rate_and_earlier_ones_less():
    assert spent_alpha(12, 12) == 0.05
    levels = look_levels([np.random.default_rng(1).normal(0, 1, 12)], LOOKS, 12)
    assert levels[-1] <= 0.05
    assert levels[0] <= spent_alpha(6, 12)


def test_one_look_is_the_fixed_test():
    differences = np.random.default_rng(5).normal(0, 1, 8)
    (level,) = look_levels([differences], [8], 8)
    # The largest p-value of eight differences that is at most 0.05.
    assert level == pytest.approx(12 / 256)


def test_false_positives_over_all_looks_are_at_most_5_percent_where_naive_looks_have_more():
    studies = np.random.default_rng(6).standard_normal((400, 12))
    honest = np.mean([decided_at(study) is not None for study in studies])
    naive = np.mean([any(float(sign_flip_p(study[:look])) <= 0.05 for look in LOOKS) for study in studies])
    assert honest <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert naive > 0.08


def test_a_decision_is_kept_and_other_arms_follow_step_down():
    rng = np.random.default_rng(7)
    clear = 0.05 + rng.normal(0, 0.005, 12)
    clear[10:] = -0.5
    noise = np.resize([0.01, -0.01, 0.012, -0.011], 12)
    decided = sequential_decisions([clear, noise], LOOKS, 12)
    assert decided[0] in (0, 1)
    assert decided[1] is None


def test_five_arms_without_an_effect_are_found_in_at_most_5_percent_of_studies():
    rng = np.random.default_rng(8)
    found = []
    for _ in range(150):
        study = rng.standard_normal((5, 10)) - rng.standard_normal((1, 10))
        found.append(any(each is not None for each in sequential_decisions(study, (6, 8, 10), 10)))
    assert np.mean(found) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)
