"""SIGTERM and SIGHUP interrupt a block like Ctrl-C."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from attendet.utils.processes.interruption import Interruption, exit_code, interrupted_by_signals


@pytest.fixture
def usual_handlers() -> Iterator[None]:
    """Undo that nohup ignores SIGHUP, and a shell SIGINT of the processes that it starts in the background."""
    usual = {signal.SIGHUP: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("usual_handlers")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_the_exit_code_tells_the_signal(number: signal.Signals, code: int) -> None:
    before = [signal.getsignal(each) for each in signal.valid_signals()]
    with pytest.raises(KeyboardInterrupt) as interrupt, interrupted_by_signals():
        os.kill(os.getpid(), number)
    assert exit_code(interrupt.value) == code
    assert [signal.getsignal(each) for each in signal.valid_signals()] == before


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupted_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_changes_no_handlers() -> None:
    seen: list[object] = []

    def run() -> None:
        with interrupted_by_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]


def test_code_that_handles_ctrl_c_handles_it() -> None:
    assert issubclass(Interruption, KeyboardInterrupt)
