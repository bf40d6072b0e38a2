"""What a process that makes batches is set to before its first one."""

from __future__ import annotations

import signal
import sys
from types import TracebackType

import cv2
import torch


def settle(_: int) -> None:
    """Compute on one thread, and leave Ctrl-C and its report to the main process."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    # Ctrl-C reaches the whole group; the main process ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # It may do so while it is being handed a batch, which the thread that hands it over would report.
    sys.excepthook = _unless_hung_up


def _unless_hung_up(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not isinstance(error, EOFError | ConnectionError):
        sys.__excepthook__(kind, error, trace)
