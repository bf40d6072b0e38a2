"""Counts of diverged runs, against every table with the same totals."""

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attendet.errors import OptionError
from attendet.study.statistics.divergence import divergence_p, does_not_train

counts = st.integers(0, 9).flatmap(lambda runs: st.tuples(st.integers(0, runs), st.just(runs)))


@given(counts, counts)
def test_the_p_value_is_the_share_of_the_tables_that_are_at_most_as_probable(arm, other) -> None:
    (diverged, runs), (others, other_runs) = arm, other
    total = diverged + others
    ways = {k: comb(runs, k) * comb(other_runs, total - k) for k in range(total + 1)}
    extreme = sum(count for count in ways.values() if count <= ways[diverged])
    assert divergence_p(diverged, runs, others, other_runs) == pytest.approx(extreme / sum(ways.values()))
    assert divergence_p(others, other_runs, diverged, runs) == pytest.approx(extreme / sum(ways.values()))


@pytest.mark.parametrize(
    ("diverged", "runs", "expected"),
    [
        (0, 0, False),
        (0, 8, False),
        (1, 8, False),
        (3, 8, False),
        (4, 8, True),
        (8, 8, True),
        (1, 1, True),
        (2, 5, False),
    ],
)
def test_an_arm_does_not_train_if_half_of_its_runs_diverge(diverged: int, runs: int, expected: bool) -> None:
    assert does_not_train(diverged, runs) is expected


@pytest.mark.parametrize("count", [(-1, 4), (5, 4)])
def test_more_diverged_runs_than_runs_are_refused(count: tuple[int, int]) -> None:
    with pytest.raises(OptionError, match=r"`diverged` must be 0 to the number of runs, 4, got"):
        does_not_train(*count)
    with pytest.raises(OptionError, match="`diverged` must be"):
        divergence_p(0, 4, *count)
