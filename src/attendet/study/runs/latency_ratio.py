"""The latency of a control relative to its arm, and the number of parameters that makes them equal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# Latencies within 2 % are equal.
TOLERANCE = 0.02
# 1.96 standard errors of the median, which are √(π/2) standard deviations / √n for normally distributed values. A
# standard deviation is 0.741 times the distance of the quartiles.
_MEDIAN_ERROR = 1.96 * math.sqrt(math.pi / 2) * 0.741


@dataclass(frozen=True)
class LatencyRatio:
    """The latency of a control relative to the latency of its arm, for one image.

    Attributes:
        arm_ms: Median latency of the arm in milliseconds.
        control_ms: Median latency of the control in milliseconds.
        ratio: Median over the rounds of the latency of the control divided by the latency of the arm.
        low: Lower quartile of the same.
        high: Upper quartile of the same.
        error: Half-width of the 95 % confidence interval of the median of normally distributed values,
            1.82 · (high - low) / √rounds.
    """

    arm_ms: float
    control_ms: float
    ratio: float
    low: float
    high: float
    error: float

    @classmethod
    def from_times(cls, arm: Sequence[float], control: Sequence[float]) -> LatencyRatio:
        """Return the ratio of latencies that were measured in turns.

        Args:
            arm: Milliseconds of the arm, by round.
            control: Milliseconds of the control, by round.

        Example:
            >>> measured = LatencyRatio.from_times([10.0, 20.0, 10.0], [11.0, 22.0, 11.0])
            >>> round(measured.ratio, 2), measured.is_equal
            (1.1, False)
        """
        low, ratio, high = np.percentile(np.divide(control, arm), [25, 50, 75]).tolist()
        error = _MEDIAN_ERROR * (high - low) / math.sqrt(len(arm))
        return cls(float(np.median(arm)), float(np.median(control)), ratio, low, high, error)

    @property
    def is_equal(self) -> bool:
        """Whether the latencies differ by at most 2 %, or by at most the error of the measurement."""
        return abs(self.ratio - 1) <= max(TOLERANCE, self.error)


def bisect_parameters(measure: Callable[[int], LatencyRatio], most: int, step: int) -> tuple[int, LatencyRatio]:
    """Return the number of parameters whose latency equals the arm's, or the closest one, and its measurement.

    The latency is assumed to grow with the number of parameters.

    Args:
        measure: Measures the control with a number of parameters.
        most: Largest number of parameters.
        step: Numbers that differ by at most `step` are not distinguished.
    """
    tried: dict[int, LatencyRatio] = {}
    for end, is_past in ((0, lambda ratio: ratio >= 1), (most, lambda ratio: ratio <= 1)):
        tried[end] = measure(end)
        if tried[end].is_equal or is_past(tried[end].ratio):
            return end, tried[end]
    low, high = 0, most
    while high - low > step:
        middle = (low + high) // 2
        tried[middle] = measure(middle)
        if tried[middle].is_equal:
            return middle, tried[middle]
        low, high = (middle, high) if tried[middle].ratio < 1 else (low, middle)
    closest = min(tried, key=lambda count: abs(math.log(tried[count].ratio)))
    return closest, tried[closest]
