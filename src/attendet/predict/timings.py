"""Where the time went."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Timings:
    """Seconds spent in named stages, added up.

    Args:
        wait: Called at the end of every stage, to wait for a device that works on its own.

    Example:
        >>> timings = Timings()
        >>> for _ in range(2):
        ...     with timings.stage("read"):
        ...         pass
        >>> list(timings.seconds), timings.seconds["read"] >= 0
        (['read'], True)
    """

    def __init__(self, wait: Callable[[], None] | None = None) -> None:
        self.seconds: dict[str, float] = {}
        """By stage, in the order in which they were first met."""
        self._wait = wait

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            if self._wait is not None:
                self._wait()
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
