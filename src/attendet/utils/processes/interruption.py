"""Signals that stop a process, handled like Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Interruption(KeyboardInterrupt):
    """A signal that stops the process; all code that handles Ctrl-C handles it, too.

    Attributes:
        signal: Number of the signal.
    """

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Raise `Interruption` in the block when SIGTERM or SIGHUP arrives, as Ctrl-C raises `KeyboardInterrupt`.

    `kill`, `timeout`, and job schedulers send SIGTERM; a terminal that is closed sends SIGHUP. A signal that is
    ignored, as `nohup` ignores SIGHUP, stays ignored. In another thread than the main thread, nothing changes.

    Example:
        >>> import os
        >>> try:
        ...     with interrupted_by_signals():
        ...         os.kill(os.getpid(), signal.SIGTERM)
        ... except KeyboardInterrupt as interrupt:
        ...     exit_code(interrupt)
        143
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    handled = [number for number, handler in before.items() if handler is signal.SIG_DFL]
    for number in handled:
        signal.signal(number, _raise)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])


def exit_code(interrupt: BaseException | None) -> int:
    """Return the exit code of a process that was interrupted: 128 plus the number of the signal, as in shells.

    Args:
        interrupt: The exception of the interruption; all but `Interruption` stand for Ctrl-C.

    Example:
        >>> exit_code(KeyboardInterrupt()), exit_code(Interruption(signal.SIGTERM))
        (130, 143)
    """
    number = interrupt.signal if isinstance(interrupt, Interruption) else signal.SIGINT
    return 128 + number


def _raise(number: int, _: FrameType | None) -> None:
    raise Interruption(number)
