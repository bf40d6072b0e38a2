"""A limit on the memory that all threads of a process use together."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class MemoryBudget:
    """A number of bytes that the threads of a process share; a thread waits until its part is free.

    Threads are served in the order in which they ask, so that small parts never hold up a large one. A forked process
    has a budget of its own.

    Args:
        capacity: All bytes.

    Example:
        >>> budget = MemoryBudget(100)
        >>> with budget.reserve(60):
        ...     budget.free
        40
        >>> budget.free
        100
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        self._free = self.capacity
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @property
    def free(self) -> int:
        """Number of bytes that no thread has reserved."""
        return self._free

    @contextmanager
    def reserve(self, amount: int) -> Iterator[None]:
        """Hold a number of bytes inside the `with` block; wait until they are free.

        Args:
            amount: The bytes, at most the capacity. A thread must not ask for more inside the block.

        Raises:
            ValueError: If the amount is larger than the capacity, so that waiting would never end.
        """
        if amount > self.capacity:
            raise ValueError(f"amount must be at most {self.capacity:,} bytes, got {amount:,}")
        if self._process != os.getpid():
            # The threads that held memory, or the lock, stayed in the parent process.
            self._start()
        self._take(amount)
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()

    def _take(self, amount: int) -> None:
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is ticket and amount <= self._free)
                self._free -= amount
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
