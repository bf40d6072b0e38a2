"""The order in which functions are measured, and the statistics of their durations."""

from contextlib import suppress
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attendet.errors import OptionError
from attendet.exporting.benchmarking.latency import Durations, measure_interleaved
from attendet.exporting.benchmarking.measuring import torch_threads

DURATIONS = {"a": 0.001, "b": 0.01, "c": 0.1}


class FakeMachine:
    """Functions that take a known time on a clock of their own."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.now = 0.0

    def run(self, name: str) -> None:
        self.calls.append(name)
        self.now += DURATIONS[name]

    def measure(self, repeats: int) -> dict[str, Durations]:
        functions = {name: partial(self.run, name) for name in DURATIONS}
        return measure_interleaved(functions, repeats, clock=lambda: self.now)


def test_each_repeat_runs_every_function_and_starts_with_another_one() -> None:
    machine = FakeMachine()
    machine.measure(4)
    assert "".join(machine.calls) == "aaabbbccc" + "aabbcc" + "bbccaa" + "ccaabb" + "aabbcc"


def test_only_the_function_itself_is_measured() -> None:
    latencies = FakeMachine().measure(5)
    for name, seconds in DURATIONS.items():
        assert latencies[name].milliseconds == pytest.approx([1000 * seconds] * 5)
    assert latencies["a"].speedup_over(latencies["c"]) == pytest.approx(100)


@given(st.lists(st.floats(1e-3, 1e4), min_size=1, max_size=40))
def test_quartiles_equal_numpys(values: list[float]) -> None:
    expected = np.percentile(values, [25, 50, 75])
    np.testing.assert_allclose(Durations(tuple(values)).quartiles, expected, rtol=1e-9)


def test_a_slow_moment_of_the_machine_does_not_change_the_speedup() -> None:
    ours, baseline = Durations((1.0, 10.0, 1.0)), Durations((2.0, 20.0, 2.0))
    assert ours.speedup_over(baseline) == 2.0


def test_repeats_must_be_positive() -> None:
    with pytest.raises(OptionError, match="`repeats` must be a positive integer, got 0"):
        FakeMachine().measure(0)


def test_the_number_of_threads_is_restored() -> None:
    before = torch.get_num_threads()
    with suppress(KeyError), torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise KeyError
    assert torch.get_num_threads() == before
