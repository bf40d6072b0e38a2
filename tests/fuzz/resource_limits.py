"""Limits on the memory and time of this process, and the memory that an input took."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

SECONDS_VARIABLE = "FUZZ_SECONDS"
"""Environment variable with the processor time of one input in seconds (default: 10)."""

_SECONDS = 10.0
# A busy machine needs many times the processor time.
_PATIENCE = 12

MAX_BYTES = 2**30
"""Memory that one input may take."""

_ADDRESS_SPACE = 4 * MAX_BYTES


def limit_address_space() -> None:
    """Let allocations fail that exceed the present address space by more than 4 GiB."""
    most = _status("VmSize") + _ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextmanager
def time_limits() -> Iterator[None]:
    """End the process if the block takes too long.

    SIGPROF ends it after 10 seconds of processor time over all threads, and SIGALRM after two minutes, because then it
    waits for something.
    """
    seconds = float(os.environ.get(SECONDS_VARIABLE, _SECONDS))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE * seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


class PeakMemory:
    """The memory that a block takes in addition to the memory before it, at its peak."""

    def __enter__(self) -> Self:
        # Writing 5 resets the peak to the present size (Linux, proc(5)).
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        self._before = _status("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        self.size = max(0, _status("VmHWM") - self._before)


def _status(field: str) -> int:
    """Return a size of this process in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise LookupError(field)
