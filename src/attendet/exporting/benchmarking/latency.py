"""Latency of several functions, measured in turn, so that changes in the machine's speed affect all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from attendet.errors import OptionError

_WARM_UP = 3


@dataclass(frozen=True)
class Durations:
    """The durations of one function.

    Attributes:
        milliseconds: One duration per repeat.

    Example:
        >>> Durations((4.0, 1.0, 2.0, 3.0, 9.0)).quartiles
        (2.0, 3.0, 4.0)
    """

    milliseconds: tuple[float, ...]

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """The lower quartile, the median, and the upper quartile, interpolated linearly between durations."""
        if len(self.milliseconds) == 1:
            (only,) = self.milliseconds
            return only, only, only
        lower, median, upper = statistics.quantiles(self.milliseconds, n=4, method="inclusive")
        return lower, median, upper

    @property
    def median(self) -> float:
        """The median duration in milliseconds."""
        return self.quartiles[1]

    def speedup_over(self, baseline: Durations) -> float:
        """Return how many times faster the function is than another one: the median of the ratios of each repeat.

        Example:
            >>> Durations((1.0, 2.0, 4.0)).speedup_over(Durations((2.0, 4.0, 40.0)))
            2.0
        """
        pairs = zip(baseline.milliseconds, self.milliseconds, strict=True)
        return statistics.median(theirs / own for theirs, own in pairs)


def measure_interleaved(
    functions: Mapping[str, Callable[[], object]], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, Durations]:
    """Measure functions in turn: in each repeat every function runs, and each repeat starts with another one.

    Before each measured run, the function runs once unmeasured. It then finds its own data in the caches, and threads
    of the function before it, which wait for work for some milliseconds, have fallen asleep.

    Args:
        functions: The functions by name.
        repeats: Number of durations of each function.
        clock: Returns the time in seconds.

    Raises:
        OptionError: If `repeats` is not positive.

    Example:
        >>> measure_interleaved({"sum": lambda: sum(range(9))}, repeats=5)["sum"].median > 0
        True
    """
    if repeats < 1:
        raise OptionError(f"`repeats` must be a positive integer, got {repeats}")
    for function in functions.values():
        for _ in range(_WARM_UP):
            function()
    names = list(functions)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for repeat in range(repeats):
        first = repeat % len(names)
        for name in (*names[first:], *names[:first]):
            function = functions[name]
            function()
            started = clock()
            function()
            seconds[name].append(clock() - started)
    return {name: Durations(tuple(1000 * each for each in values)) for name, values in seconds.items()}
